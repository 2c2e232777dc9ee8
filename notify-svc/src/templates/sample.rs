//! Data of each type that comes with Slipway, as its event has it: to look at a mail
//! without an event.

use serde_json::{Map, Value, json};

/// The sample of a type; `None` of one that Slipway does not bring along. What may be
/// missing from an event is named by [`optional`].
#[must_use]
pub fn of(kind: &str) -> Option<Map<String, Value>> {
    let more = match kind {
        "task.assigned" => json!({"orderIndex": 3}),
        "task.hotfix_added" => json!({}),
        "task.stale_detected" => json!({"startedAt": "2026-01-02T03:04:05.678Z", "hours": 49}),
        "task.reminder_due" => json!({
            "dueAt": "2026-01-05T16:00:00Z", "remindAt": "2026-01-05T09:30:00Z",
        }),
        _ => return None,
    };
    let about_the_task = json!({
        "developerId": "01890a5d-ac96-774b-bcce-b302099a8057",
        "developerName": "ada",
        "releaseId": "01890a5d-ac96-774b-bcce-b302099a8058",
        "releaseName": "Kubernetes 1.31",
        "taskId": "01890a5d-ac96-774b-bcce-b302099a8059",
        "taskTitle": "Build the images for every architecture",
        "actor": "grace",
    });
    let mut fields = Map::new();
    for part in [about_the_task, more] {
        if let Value::Object(part) = part {
            fields.extend(part);
        }
    }
    Some(fields)
}

/// Whether events of Slipway's own may lack this variable.
#[must_use]
pub(super) fn optional(variable: &str) -> bool {
    matches!(variable, "actor" | "dueAt")
}
