//! `Idempotency-Key`: a repeated request gets the first answer again and has no second effect.

use futures::future::try_join_all;
use serde_json::{Value, json};
use slipway_tests::{
    Answer, Client, Options, Process, Team,
    team::{PASSWORD, id},
};

use super::{completed_release, items, post_with_key as post, start};

/// Asserts that the repetition is the first answer, byte for byte.
#[track_caller]
fn same(first: &Answer, again: &Answer) {
    assert_eq!(first.status, 201, "{:#}", first.body);
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.headers.get("location"), first.headers.get("location"));
    assert_eq!(
        again.headers.get("content-type"),
        first.headers.get("content-type")
    );
}

async fn releases(team: &Team) -> anyhow::Result<usize> {
    let page = team.admin.get("/releases?limit=200").await?.expect(200);
    Ok(items(&page)?.len())
}

fn account(username: &str) -> Value {
    json!({
        "username": username,
        "email": format!("{username}@example.com"),
        "password": PASSWORD,
    })
}

/// The user of a session; its token must be valid.
async fn signed_in(server: &Process, session: &Value) -> anyhow::Result<Value> {
    let client = server
        .client()
        .with_token(session["token"].as_str().unwrap_or_default());
    let me = client.get("/auth/me").await?.expect(200);
    assert_eq!(me["id"], session["user"]["id"]);
    Ok(me["id"].clone())
}

/// Twenty clients send the same request concurrently.
async fn at_once(client: &Client, path: &str, body: &Value) -> anyhow::Result<Vec<Answer>> {
    try_join_all((0..20).map(|_| post(client, path, body, "one-key"))).await
}

#[tokio::test]
async fn the_same_request_again_gives_the_same_answer_and_has_one_effect() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let task = json!({"title": "t", "assignee": "dev-0"});
    let body = json!({"name": "a", "tasks": [task]});
    let first = post(&team.admin, "/releases", &body, "key").await?;
    let path = format!("/releases/{}/tasks", id(&first.body));
    let added = post(&team.admin, &path, &task, "key").await?;
    for _ in 0..3 {
        same(&first, &post(&team.admin, "/releases", &body, "key").await?);
        same(&added, &post(&team.admin, &path, &task, "key").await?);
    }
    assert_eq!(releases(&team).await?, 1);
    let page = team.developers[0].get("/tasks/my").await?.expect(200);
    assert_eq!(items(&page)?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_repetition_is_recognised_by_its_content() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let first = json!({"name": "a", "version": "1"});
    let first = post(&team.admin, "/releases", &first, "key").await?;
    let request = team.admin.request(reqwest::Method::POST, "/v1/releases");
    let request = request
        .header("idempotency-key", "key")
        .header("content-type", "application/json")
        .body("{ \"version\":\"1\",\n\"name\":\"\\u0061\", \"description\": null }");
    same(&first, &team.admin.send(request).await?);
    Ok(())
}

#[tokio::test]
async fn a_key_of_another_request_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let first = post(&team.admin, "/releases", &json!({"name": "a"}), "key").await?;
    for other in [
        json!({"name": "b"}),
        json!({"name": "a", "version": "1"}),
        json!({"name": "a", "tasks": [{"title": "t", "assignee": "dev-0"}]}),
    ] {
        let answer = post(&team.admin, "/releases", &other, "key").await?;
        answer.refused(409, "IDEMPOTENCY_KEY_REUSED");
    }
    // Nor for the same task in another release.
    let second = post(&team.admin, "/releases", &json!({"name": "b"}), "key-2").await?;
    let task = json!({"title": "t", "assignee": "dev-0"});
    let path = |release: &Answer| format!("/releases/{}/tasks", id(&release.body));
    let added = post(&team.admin, &path(&first), &task, "key").await?;
    assert_eq!(added.status, 201, "another operation is another matter");
    let answer = post(&team.admin, &path(&second), &task, "key").await?;
    answer.refused(409, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(releases(&team).await?, 2);
    Ok(())
}

#[tokio::test]
async fn another_users_key_is_another_key() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let mut boss = account("boss");
    boss["role"] = json!("ADMIN");
    team.admin.post("/auth/register", &boss).await?.expect(201);
    let boss = server.client().login("boss", PASSWORD).await?;
    let body = json!({"name": "a"});
    let first = post(&team.admin, "/releases", &body, "key")
        .await?
        .expect(201);
    let second = post(&boss, "/releases", &body, "key").await?.expect(201);
    assert_ne!(id(&first), id(&second));
    assert_eq!(second["createdBy"]["username"], "boss");
    Ok(())
}

#[tokio::test]
async fn without_a_key_or_with_another_one_it_is_another_request() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let body = json!({"name": "a"});
    let longest = "k".repeat(255);
    for key in ["key", "Key", "!~", &longest] {
        post(&team.admin, "/releases", &body, key)
            .await?
            .expect(201);
    }
    for _ in 0..2 {
        team.admin.post("/releases", &body).await?.expect(201);
    }
    assert_eq!(releases(&team).await?, 6);
    Ok(())
}

#[tokio::test]
async fn a_refused_request_can_be_repeated() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let task = json!({"title": "t", "assignee": "grace"});
    let body = json!({"name": "a", "tasks": [task]});
    let refused = post(&team.admin, "/releases", &body, "key").await?;
    refused.refused(400, "INVALID_ARGUMENT");
    server
        .client()
        .post("/auth/register", &account("grace"))
        .await?
        .expect(201);
    let release = post(&team.admin, "/releases", &body, "key").await?;
    assert_eq!(release.status, 201);
    same(
        &release,
        &post(&team.admin, "/releases", &body, "key").await?,
    );
    // A key that was refused with one body can be used with another.
    let bad = json!({"name": ""});
    post(&team.admin, "/releases", &bad, "key-2")
        .await?
        .refused(400, "INVALID_ARGUMENT");
    post(&team.admin, "/releases", &json!({"name": "b"}), "key-2")
        .await?
        .expect(201);
    Ok(())
}

#[tokio::test]
async fn the_answer_is_the_first_one_whatever_happened_since() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = completed_release(&team, "a", 1).await?;
    let path = format!("/releases/{release}/tasks");
    let fix = json!({"title": "fix", "assignee": "dev-0", "orderIndex": 7});
    let first = post(&team.admin, &path, &fix, "key").await?;
    for step in ["start", "complete"] {
        let path = format!("/tasks/{}/{step}", id(&first.body));
        team.developers[0].patch(&path).await?.expect(200);
    }
    team.admin
        .patch(&format!("/releases/{release}/complete"))
        .await?
        .expect(200);
    same(&first, &post(&team.admin, &path, &fix, "key").await?);
    let release = team
        .admin
        .get(&format!("/releases/{release}"))
        .await?
        .expect(200);
    assert_eq!(
        release["reopenedCount"], 1,
        "the repetition reopens nothing"
    );
    assert_eq!(release["isCompleted"], true);
    Ok(())
}

#[tokio::test]
async fn twenty_concurrent_repetitions_have_one_effect_and_one_answer() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = at_once(&team.admin, "/releases", &json!({"name": "a"})).await?;
    let path = format!("/releases/{}/tasks", id(&release[0].body));
    let task = json!({"title": "t", "assignee": "dev-0"});
    let appended = at_once(&team.admin, &path, &task).await?;
    let other = team.release("b", &[]).await?;
    let path = format!("/releases/{}/tasks", id(&other));
    let task = json!({"title": "t", "assignee": "dev-0", "orderIndex": 3});
    let placed =
        try_join_all((0..20).map(|_| post(&team.admin, &path, &task, "another-key"))).await?;
    for answers in [&release, &appended, &placed] {
        for answer in answers {
            same(&answers[0], answer);
        }
    }
    assert_eq!(releases(&team).await?, 2);
    let page = team.developers[0].get("/tasks/my").await?.expect(200);
    assert_eq!(items(&page)?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_repeated_registration_signs_the_same_account_in() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let nobody = server.client();
    let path = "/auth/register";
    let first = post(&nobody, path, &account("ada"), "key")
        .await?
        .expect(201);
    let again = post(&nobody, path, &account("ada"), "key").await?;
    let again = again.expect(201);
    assert_eq!(
        signed_in(&server, &first).await?,
        signed_in(&server, &again).await?
    );

    let sessions = at_once(&nobody, path, &account("grace")).await?;
    for session in &sessions {
        assert_eq!(session.status, 201, "{:#}", session.body);
        assert_eq!(session.body["user"], sessions[0].body["user"]);
        signed_in(&server, &session.body).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_key_does_not_sign_in_without_the_password() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let nobody = server.client();
    post(&nobody, "/auth/register", &account("ada"), "key")
        .await?
        .expect(201);
    let mut guess = account("ada");
    guess["password"] = json!("a wrong password");
    let answer = post(&nobody, "/auth/register", &guess, "key").await?;
    assert!(!answer.text.contains("\"token\""), "{}", answer.text);
    answer.refused(409, "IDEMPOTENCY_KEY_REUSED");
    Ok(())
}

#[tokio::test]
async fn answers_are_remembered_after_a_crash() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let body = json!({"name": "a", "tasks": [{"title": "t", "assignee": "dev-0"}]});
    let first = post(&team.admin, "/releases", &body, "key").await?;
    let session = post(&server.client(), "/auth/register", &account("ada"), "key").await?;
    let token = team.admin.token().to_owned();

    let server = Process::start_on(server.kill().await?, &Options::default()).await?;
    let admin = server.client().with_token(&token);
    same(&first, &post(&admin, "/releases", &body, "key").await?);
    let other = json!({"name": "b"});
    post(&admin, "/releases", &other, "key")
        .await?
        .refused(409, "IDEMPOTENCY_KEY_REUSED");
    let again = post(&server.client(), "/auth/register", &account("ada"), "key").await?;
    assert_eq!(again.expect(201)["user"], session.expect(201)["user"]);
    Ok(())
}
