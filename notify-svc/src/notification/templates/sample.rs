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
        "task.assigned" => task(json!({
            "orderIndex": 30, "position": 3, "canStart": false, "dueAt": "2026-01-05T16:00:00Z",
        })),
        "task.hotfix_added" => task(json!({
            "position": 38, "canStart": true, "dueAt": "2026-01-05T16:00:00Z",
        })),
        "task.ready" => joined(
            json!({"task": whole_task(), "position": 3}),
            json!({"actor": "grace"}),
        ),
        "task.paused" => joined(
            json!({
                "task": whole_task(),
                "reason": "Ada is ill this week.",
                "workedMs": 5_400_000,
                "plannedBy": {"id": "01890a5d-ac96-774b-bcce-b302099a8061", "username": "linus"},
            }),
            json!({"actor": "grace", "because": "planner"}),
        ),
        "task.recurrence_ended" => joined(
            json!({
                "task": joined(whole_task(), json!({
                    "status": "COMPLETED",
                    "startedAt": "2026-01-05T13:00:00Z",
                    "completedAt": "2026-01-05T14:30:00Z",
                    "recurrence": {
                        "rule": "FREQ=WEEKLY;BYDAY=MO",
                        "timeZone": "Europe/Berlin",
                        "startsAt": "2025-11-03T16:00:00Z",
                    },
                })),
                "reason": "RELEASE_COMPLETED",
                "plannedBy": {"id": "01890a5d-ac96-774b-bcce-b302099a8061", "username": "linus"},
            }),
            json!({"because": "planner"}),
        ),
        "release.ready" => joined(about_a_release(), json!({"actor": "ada"})),
        "task.stale_detected" => {
            task(json!({"startedAt": "2026-01-02T03:04:05.678Z", "hours": 49}))
        }
        "task.reminder_due" => task(json!({
            "dueAt": "2026-01-05T16:00:00Z", "remindAt": "2026-01-05T09:30:00Z", "late": true,
        })),
        "task.commented" => comment(json!({"because": "owner"})),
        "comment.posted" => comment(json!({"because": "mention"})),
        "comment.replied" => comment(json!({
            "because": "reply",
            "parentAuthor": {"id": "01890a5d-ac96-774b-bcce-b302099a8057", "username": "ada"},
        })),
        "system.error" => joined(about_a_fault(), json!({})),
        "user.reset_requested" => joined(
            about_a_link(),
            json!({"expiresAt": "2026-01-05T16:30:00Z", "actor": "grace"}),
        ),
        "user.invited" => joined(
            about_a_link(),
            json!({"expiresAt": "2026-01-12T16:00:00Z", "actor": "grace"}),
        ),
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

fn whole_task() -> Value {
    json!({
        "id": "01890a5d-ac96-774b-bcce-b302099a8059",
        "releaseId": "01890a5d-ac96-774b-bcce-b302099a8058",
        "releaseName": "Kubernetes 1.31",
        "title": "Build the images for every architecture",
        "description": "",
        "assignee": {"id": "01890a5d-ac96-774b-bcce-b302099a8057", "username": "ada"},
        "orderIndex": 30,
        "status": "TODO",
        "hotfix": false,
        "createdAt": "2026-01-02T03:04:05.678Z",
        "dueAt": "2026-01-05T16:00:00Z",
    })
}

fn about_a_release() -> Value {
    json!({
        "releaseId": "01890a5d-ac96-774b-bcce-b302099a8058",
        "releaseName": "Kubernetes 1.31",
        "version": "1.31.0",
        "createdBy": {"id": "01890a5d-ac96-774b-bcce-b302099a8060", "username": "grace"},
        "totalTasks": 37,
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

fn about_a_fault() -> Value {
    json!({
        "news": "BEGUN",
        "summary": "release cannot reach what it needs: bus",
        "service": "release",
        "kind": "bus-unreachable",
        "fingerprint": "release/bus-unreachable/bus",
        "count": 3,
        "firstSeen": "2026-01-05T09:30:00Z",
        "lastSeen": "2026-01-05T09:31:00Z",
        "traceId": "",
    })
}

fn about_a_link() -> Value {
    json!({
        "userId": "01890a5d-ac96-774b-bcce-b302099a8057",
        "username": "ada",
        "email": "ada@example.com",
        "linkId": "01890a5d-ac96-774b-bcce-b302099a8062",
        "secret": "hidden",
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
    matches!(variable, "actor" | "dueAt" | "position" | "canStart")
}

/// The sample of an event that has no more than it must have.
#[must_use]
pub(super) fn lean(mut sample: Map<String, Value>) -> Map<String, Value> {
    sample.retain(|name, _| !optional(name));
    if let Some(Value::Object(task)) = sample.get_mut("task") {
        task.remove("dueAt");
    }
    sample
}
