//! Tests of `/releases…`.

use axum::body::Body;
use http::Method;
use serde_json::json;
use slipway_rpc::error::{Fault, Kind};

use crate::{
    support::{ADA, Gateway, RELEASE, TASK},
    tasks,
};

fn expected() -> serde_json::Value {
    json!({
        "id": RELEASE,
        "name": "Autumn",
        "description": "",
        "version": "2026.3",
        "status": "OPEN",
        "isCompleted": false,
        "tasks": [tasks::expected()],
        "progress": {"total": 1, "completed": 0},
        "createdBy": {"id": ADA, "username": "ada"},
        "createdAt": "2026-03-01T10:00:00Z",
        "completedAt": null,
        "reopenedCount": 0,
        "revision": 7,
    })
}

#[tokio::test(start_paused = true)]
async fn a_release_is_created_with_its_tasks() {
    let gateway = Gateway::new();
    let body = json!({
        "name": "Autumn",
        "version": "2026.3",
        "tasks": [
            {"title": "One", "assigneeId": ADA, "orderIndex": 4},
            {"title": "Two", "assignee": "bob", "dueAt": "2026-03-02T01:00:00+01:00"},
        ],
    });
    let answer = gateway.post("/releases", body.to_string()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), format!("/releases/{RELEASE}"));
    assert_eq!(answer.json(), expected());
    let asked = gateway.core.asked();
    assert!(asked.contains(&format!("AssigneeId(\"{ADA}\")")), "{asked}");
    assert!(asked.contains("order_index: Some(4)"), "{asked}");
    assert!(asked.contains("AssigneeUsername(\"bob\")"), "{asked}");
    assert!(asked.contains("seconds: 1772409600"), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_new_task_has_exactly_one_assignee() {
    let gateway = Gateway::new();
    let none = json!({"name": "A", "tasks": [{"title": "One", "assignee": "a"}, {"title": "Two"}]});
    let answer = gateway.post("/releases", none.to_string()).await;
    answer.invalid("tasks[1].assignee");
    let both = json!({"title": "One", "assignee": "a", "assigneeId": ADA});
    let path = format!("/releases/{RELEASE}/tasks");
    gateway
        .post(&path, both.to_string())
        .await
        .invalid("assignee");
}

#[tokio::test(start_paused = true)]
async fn a_task_is_added() {
    let gateway = Gateway::new();
    let body = json!({"title": "One", "assignee": "ada", "orderIndex": null});
    let path = format!("/releases/{RELEASE}/tasks");
    let answer = gateway.post(&path, body.to_string()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), format!("/tasks/{TASK}"));
    assert_eq!(answer.json(), tasks::expected());
    assert!(gateway.core.asked().contains(RELEASE));
}

#[tokio::test(start_paused = true)]
async fn releases_are_listed_without_tasks() {
    let gateway = Gateway::new();
    let answer = gateway.get("/releases?status=OPEN&limit=3").await;
    let mut summary = expected();
    summary.as_object_mut().unwrap().remove("tasks");
    assert_eq!(
        answer.json(),
        json!({"items": [summary], "nextCursor": null})
    );
    let asked = gateway.core.asked();
    assert!(asked.contains("status: Open, page_size: 3"), "{asked}");
    gateway.get("/releases?status=open").await.invalid("status");
}

#[tokio::test(start_paused = true)]
async fn a_release_is_completed() {
    let gateway = Gateway::new();
    let answer = gateway
        .patch(&format!("/releases/{RELEASE}/complete"))
        .await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, expected()));
}

#[tokio::test(start_paused = true)]
async fn a_known_revision_is_not_sent_again() {
    let gateway = Gateway::new();
    let path = format!("/releases/{RELEASE}");
    let answer = gateway.get(&path).await;
    assert_eq!(answer.header("etag"), "\"7\"");
    let mut viewed = expected();
    viewed["tasks"] = json!([tasks::viewed()]);
    assert_eq!(answer.json(), viewed);
    for (known, status) in [
        ("\"7\"", 304),
        ("W/\"7\"", 304),
        ("\"1\", \"7\"", 304),
        ("*", 304),
        ("\"6\"", 200),
        ("7", 200),
    ] {
        let request = gateway
            .request(Method::GET, &path)
            .header("if-none-match", known);
        let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{known}");
        assert_eq!(answer.header("etag"), "\"7\"");
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_is_changed_and_deleted_at_a_revision() {
    let gateway = Gateway::new();
    let path = format!("/releases/{RELEASE}");
    let send = async |method: Method, body: &str| {
        let request = gateway.request(method, &path);
        let request = request.header("content-type", "application/json");
        let request = request.header("if-match", "\"7\"");
        gateway
            .send(request.body(body.to_owned().into()).unwrap())
            .await
    };
    let answer = send(Method::PATCH, r#"{"version": "2026.4"}"#).await;
    assert_eq!(answer.header("etag"), "\"7\"");
    assert_eq!(answer.json(), expected());
    let asked = gateway.core.asked();
    let fields = "name: None, description: None, version: Some(\"2026.4\"), revision: 7";
    assert!(asked.contains(fields), "{asked}");
    let nameless = send(Method::PATCH, r#"{"name": null}"#).await;
    nameless.invalid("name");

    let answer = send(Method::DELETE, "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    let asked = gateway.core.asked();
    assert!(asked.starts_with("DeleteReleaseRequest"), "{asked}");
    assert!(asked.contains("revision: 7"), "{asked}");
    let changed = Fault::new(Kind::Contended, "RELEASE_CHANGED", "It changed.");
    gateway.core.fails(changed);
    let answer = send(Method::DELETE, "").await;
    answer.problem(412, "RELEASE_CHANGED");
}
