//! Data of each type that comes with Slipway, as its event has it: to look at a mail
//! without an event.

use serde_json::{Map, Value, json};

/// The sample of a type; `None` of one that Slipway does not bring along. What may be
/// missing from an event is named by [`optional`].
#[must_use]
pub fn of(kind: &str) -> Option<Map<String, Value>> {
    let task = |more| joined(about_a_task(), more);
    let comment = |more| joined(about_a_comment(), more);
    let sample = match kind {
        "task.assigned" => task(json!({"orderIndex": 3})),
        "task.hotfix_added" => task(json!({})),
        "task.stale_detected" => {
            task(json!({"startedAt": "2026-01-02T03:04:05.678Z", "hours": 49}))
        }
        "task.reminder_due" => task(json!({
            "dueAt": "2026-01-05T16:00:00Z", "remindAt": "2026-01-05T09:30:00Z",
        })),
        "comment.posted" => comment(json!({"because": "mention"})),
        "comment.replied" => comment(json!({
            "because": "reply",
            "parentAuthor": {"id": "01890a5d-ac96-774b-bcce-b302099a8057", "username": "ada"},
        })),
        _ => return None,
    };
    Some(sample)
}

fn about_a_task() -> Value {
    json!({
        "developerId": "01890a5d-ac96-774b-bcce-b302099a8057",
        "developerName": "ada",
        "releaseId": "01890a5d-ac96-774b-bcce-b302099a8058",
        "releaseName": "Kubernetes 1.31",
        "taskId": "01890a5d-ac96-774b-bcce-b302099a8059",
        "taskTitle": "Build the images for every architecture",
        "actor": "grace",
    })
}

fn about_a_comment() -> Value {
    json!({
        "task": {
            "id": "01890a5d-ac96-774b-bcce-b302099a8059",
            "title": "Build the images for every architecture",
            "releaseId": "01890a5d-ac96-774b-bcce-b302099a8058",
            "releaseName": "Kubernetes 1.31",
            "assignee": {"id": "01890a5d-ac96-774b-bcce-b302099a8057", "username": "ada"},
        },
        "author": {"id": "01890a5d-ac96-774b-bcce-b302099a8060", "username": "grace"},
        "excerpt": "The arm64 image is half the size of the others: is something missing?",
        "mentions": [],
    })
}

fn joined(common: Value, more: Value) -> Map<String, Value> {
    let mut fields = Map::new();
    for part in [common, more] {
        if let Value::Object(part) = part {
            fields.extend(part);
        }
    }
    fields
}

/// Whether events of Slipway's own may lack this variable.
#[must_use]
pub(super) fn optional(variable: &str) -> bool {
    matches!(variable, "actor" | "dueAt")
}
