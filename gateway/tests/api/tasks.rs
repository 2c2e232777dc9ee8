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
        "priority": "NORMAL",
        "tags": [],
        "remindBeforeMinutes": null,
        "recurrence": null,
        "workedMs": 0,
        "revision": 5,
    })
}

/// The task as a caller sees it who has nothing to do with it.
pub(crate) fn viewed() -> Value {
    let mut task = expected();
    task["canStart"] = false.into();
    task["blockedBy"] = Value::Null;
    task
}

#[tokio::test(start_paused = true)]
async fn all_operations_return_a_task_in_the_same_form() {
    let gateway = Gateway::new();
    let path = format!("/tasks/{TASK}");
    assert_eq!(gateway.get(&path).await.json(), viewed());
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

#[tokio::test(start_paused = true)]
async fn a_task_has_its_revision_as_its_etag() {
    let gateway = Gateway::new();
    let answer = gateway.get(&format!("/tasks/{TASK}")).await;
    assert_eq!(answer.headers["etag"], "\"5\"");
}

#[tokio::test(start_paused = true)]
async fn only_given_fields_of_a_task_are_changed_and_null_clears() {
    let gateway = Gateway::new();
    let path = format!("/tasks/{TASK}");
    let change = async |body: Value| {
        let request = gateway.request(http::Method::PATCH, &path);
        let request = request.header("content-type", "application/json");
        let request = request.header("if-match", "\"5\"");
        gateway
            .send(request.body(body.to_string().into()).unwrap())
            .await
    };
    let answer = change(json!({
        "title": "Write", "dueAt": null, "remindBeforeMinutes": null, "recurrence": null,
    }))
    .await;
    assert_eq!(answer.headers["etag"], "\"5\"");
    assert_eq!(answer.json(), expected());
    let asked = gateway.core.asked();
    for part in [
        "title: Some(\"Write\")",
        "description: None",
        "assignee: None",
        "due: Some(NoDueAt(()))",
        "reminder: Some(NoReminder(()))",
        "series: Some(NoRecurrence(()))",
        "priority: Unspecified",
        "tags: None",
        "revision: 5",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    change(json!({
        "assignee": "ada", "orderIndex": 7, "priority": "URGENT", "tags": [],
        "remindBeforeMinutes": -1, "dueAt": "2026-12-01T17:00:00Z",
        "recurrence": {"rule": "FREQ=DAILY", "releaseId": RELEASE},
    }))
    .await
    .json();
    let asked = gateway.core.asked();
    for part in [
        "assignee: Some(AssigneeUsername(\"ada\"))",
        "order_index: Some(7)",
        "priority: Urgent",
        "tags: Some(TaskTags { tags: [] })",
        "reminder: Some(RemindBeforeMinutes(4294967295))",
        "due: Some(DueAt(",
        &format!(
            "series: Some(Recurrence(NewRecurrence {{ rule: \"FREQ=DAILY\", time_zone: \"\", \
             release_id: \"{RELEASE}\" }}))"
        ),
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    for field in [
        "title",
        "description",
        "assignee",
        "orderIndex",
        "priority",
        "tags",
    ] {
        change(json!({field: null})).await.invalid(field);
    }
    let fraction = change(json!({"orderIndex": 1.5})).await;
    let detail = fraction.problem(400, "INVALID_ARGUMENT")["detail"].to_string();
    assert!(detail.contains("from 0 to 9007199254740991"), "{detail}");
    let both = json!({"assignee": "ada", "assigneeId": ADA});
    change(both).await.invalid("assignee");
    change(json!({"priority": "SOON"}))
        .await
        .invalid("priority");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_others_changed_is_412() {
    let gateway = Gateway::new();
    let changed = || Fault::new(Kind::Contended, "TASK_CHANGED", "It changed.").fact("revision", 6);
    for (method, body) in [(http::Method::PATCH, "{}"), (http::Method::DELETE, "")] {
        gateway.core.fails(changed());
        let request = gateway.request(method, &format!("/tasks/{TASK}"));
        let request = request.header("content-type", "application/json");
        let request = request.header("if-match", "\"5\"");
        let answer = gateway.send(request.body(body.into()).unwrap()).await;
        assert_eq!(answer.problem(412, "TASK_CHANGED")["revision"], 6);
    }
}

#[tokio::test(start_paused = true)]
async fn the_conditions_of_lists_are_handed_on() {
    let gateway = Gateway::new();
    let conditions = "status=TODO&priority=HIGH&tag=ui&q=notes&dueFrom=2026-12-01T00:00:00Z";
    for (path, own) in [
        (format!("/tasks/my?{conditions}"), "ListMyTasksRequest"),
        (
            format!("/tasks?assignee=ada&{conditions}"),
            "assignee: \"ada\"",
        ),
    ] {
        gateway.get(&path).await.json();
        let asked = gateway.core.asked();
        for part in [
            own,
            "status: Todo",
            "priority: High",
            "tag: \"ui\"",
            "text: \"notes\"",
        ] {
            assert!(asked.contains(part), "{part} in {asked}");
        }
    }
    for bad in [
        "priority=SOON",
        "dueBefore=tomorrow",
        "status=DONE",
        "tag=",
        "assignee=",
    ] {
        let name = bad.split('=').next().unwrap();
        gateway.get(&format!("/tasks?{bad}")).await.invalid(name);
    }
    for empty in [
        "/notifications?type=",
        "/admin/notifications?recipient=",
        "/admin/dead-letters?group=",
        "/admin/dead-letters?type=",
        "/admin/dead-letters?cause=",
    ] {
        let (_, name) = empty.split_once('?').unwrap();
        gateway.get(empty).await.invalid(name.trim_end_matches('='));
    }
}
