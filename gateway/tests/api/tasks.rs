//! Tests of `/tasks…`.

use serde_json::{Value, json};
use slipway_rpc::error::{Fault, Kind};

use crate::support::{ADA, Gateway, RELEASE, TASK};

pub(crate) fn expected() -> Value {
    json!({
        "id": TASK,
        "releaseId": RELEASE,
        "releaseName": "Autumn",
        "title": "Write the notes",
        "description": "",
        "assignee": {"id": ADA, "username": "ada"},
        "orderIndex": 3,
        "status": "IN_PROCESS",
        "hotfix": false,
        "createdAt": "2026-03-01T10:00:00Z",
        "startedAt": "2026-03-01T10:01:00Z",
        "completedAt": null,
        "dueAt": null,
    })
}

#[tokio::test(start_paused = true)]
async fn all_operations_return_a_task_in_the_same_form() {
    let gateway = Gateway::new();
    let path = format!("/tasks/{TASK}");
    assert_eq!(gateway.get(&path).await.json(), expected());
    assert_eq!(
        gateway.patch(&format!("{path}/start")).await.json(),
        expected()
    );
    assert!(gateway.core.asked().starts_with("StartTaskRequest"));
    assert_eq!(
        gateway.patch(&format!("{path}/complete")).await.json(),
        expected()
    );
    assert!(gateway.core.asked().contains(TASK));
}

#[tokio::test(start_paused = true)]
async fn my_tasks_have_their_blockers() {
    let gateway = Gateway::new();
    let page = gateway.get("/tasks/my?status=IN_PROCESS").await.json();
    let mut free = expected();
    free["canStart"] = true.into();
    free["blockedBy"] = Value::Null;
    assert_eq!(page["items"][0], free);
    assert_eq!(page["items"][1]["canStart"], false);
    assert_eq!(
        page["items"][1]["blockedBy"],
        json!({
            "code": "DEVELOPER_BUSY",
            "id": TASK,
            "releaseId": RELEASE,
            "releaseName": "Autumn",
            "title": "Write the notes",
            "orderIndex": 3,
            "status": "IN_PROCESS",
            "assignee": {"id": ADA, "username": "ada"},
        })
    );
    assert!(gateway.core.asked().contains("status: InProcess"));
    gateway.get("/tasks/my?status=DONE").await.invalid("status");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_carries_its_facts() {
    let gateway = Gateway::new();
    let busy = Fault::new(
        Kind::Conflict,
        "DEVELOPER_BUSY",
        "You are working on another task.",
    )
    .fact("activeTask", json!({"id": TASK}))
    // A fact cannot overwrite a member of the problem format.
    .fact("status", 200);
    gateway.core.fails(busy);
    let answer = gateway.patch(&format!("/tasks/{TASK}/start")).await;
    let problem = answer.problem(409, "DEVELOPER_BUSY");
    assert_eq!(problem["activeTask"], json!({"id": TASK}));
    assert_eq!(problem["detail"], "You are working on another task.");
}
