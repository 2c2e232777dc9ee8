//! The same routes under `/v1`.

use reqwest::Method;
use serde_json::json;
use slipway_tests::{
    StreamEvent,
    team::{id, task_ids},
};

use super::{call, settled, start, unauthorized};

#[tokio::test]
async fn reads_are_the_same_under_v1() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let task = &task_ids(&release)[0];
    settled(&team.admin, 2 + 3).await?;
    for path in [
        "/auth/me".to_owned(),
        "/users?q=dev".to_owned(),
        "/releases?status=OPEN".to_owned(),
        format!("/releases/{}", id(&release)),
        "/tasks/my".to_owned(),
        format!("/tasks/{task}"),
        "/activity?type=release.*&order=asc".to_owned(),
        "/.well-known/jwks.json".to_owned(),
    ] {
        let client = &team.developers[0];
        let (canonical, twin) = (
            client.get(&path).await?,
            client.get(&format!("/v1{path}")).await?,
        );
        assert_eq!(canonical.status, 200, "{path}");
        assert_eq!((canonical.status, canonical.text), (twin.status, twin.text));
        assert_eq!(
            canonical.headers.get("etag"),
            twin.headers.get("etag"),
            "{path}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_whole_workflow_works_under_v1() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let nobody = server.client();
    let body =
        json!({"username": "ada", "email": "ada@example.com", "password": "a password for tests"});
    nobody.post("/v1/auth/register", &body).await?.expect(201);
    let body = json!({"username": "ada", "password": "a password for tests"});
    let session = nobody.post("/v1/auth/login", &body).await?.expect(200);
    let ada = nobody.with_token(session["token"].as_str().unwrap_or_default());
    let admin = server.admin().await?;
    let mut stream = ada.stream("?type=task.completed", None).await?;

    let release = admin.post("/v1/releases", &json!({"name": "a"})).await?;
    let location = release.header("location").to_owned();
    let release = release.expect(201);
    assert_eq!(
        location,
        format!("/releases/{}", id(&release)),
        "the canonical path"
    );
    let path = format!("/v1/releases/{}", id(&release));
    let task = json!({"title": "t", "assignee": "ada"});
    let task = admin
        .post(&format!("{path}/tasks"), &task)
        .await?
        .expect(201);
    for step in ["start", "complete"] {
        let path = format!("/v1/tasks/{}/{step}", id(&task));
        ada.patch(&path).await?.expect(200);
    }
    admin.patch(&format!("{path}/complete")).await?.expect(200);
    let seen = stream.next().await?;
    assert!(matches!(seen, StreamEvent::Entry { kind, .. } if kind == "task.completed"));
    Ok(())
}

#[tokio::test]
async fn refusals_are_the_same_under_v1() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let nobody = server.client();
    unauthorized(nobody.get("/v1/releases").await?, "UNAUTHENTICATED");
    unauthorized(nobody.get("/v1/activity/stream").await?, "UNAUTHENTICATED");
    let body = json!({"name": "a"});
    let answer = team.developers[0].post("/v1/releases", &body).await?;
    answer.refused(403, "ADMIN_REQUIRED");
    nobody.get("/v1/nowhere").await?.refused(404, "NOT_FOUND");
    nobody
        .get("/v1/v1/releases")
        .await?
        .refused(404, "NOT_FOUND");
    let answer = call(&team.admin, Method::DELETE, "/v1/releases").await?;
    assert!(!answer.header("allow").is_empty());
    answer.refused(405, "METHOD_NOT_ALLOWED");
    Ok(())
}
