//! Tests of `/chat…`.

use axum::body::Body;
use http::Method;
use serde_json::{Value, json};
use slipway_rpc::error::{Fault, Kind};

use crate::support::{Answer, Gateway, RELEASE, SESSION, TASK};

fn answer() -> Value {
    json!({
        "id": "0190c2b8-7a5e-7c3f-8f00-0000000000ee",
        "sessionId": SESSION,
        "role": "assistant",
        "content": "Write the\nnotes.",
        "model": "llama3.2",
        "createdAt": "2026-03-01T10:01:01Z",
        "latencyMs": 1000,
        "timeToFirstTokenMs": 200,
        "promptTokens": 700,
        "answerTokens": null,
        "context": {"taskIds": [TASK], "releaseIds": [RELEASE], "messages": 3, "dropped": 0},
    })
}

fn path() -> String {
    format!("/chat/{SESSION}/message")
}

/// Asks for a stream; returns its events.
async fn events(gateway: &Gateway, message: &str) -> Vec<(String, Value)> {
    let request = gateway
        .request(Method::POST, &path())
        .header("content-type", "application/json")
        .header("accept", "text/event-stream");
    let body = json!({"message": message}).to_string();
    let answer = gateway.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let blocks = text.split("\n\n").filter(|block| !block.is_empty());
    let event = |block: &str| {
        let (event, data) = block.split_once('\n').unwrap();
        let event = event.strip_prefix("event: ").unwrap().to_owned();
        let data = data.strip_prefix("data: ").unwrap();
        (event, serde_json::from_str(data).unwrap())
    };
    blocks.map(event).collect()
}

#[tokio::test(start_paused = true)]
async fn a_session_is_created_with_and_without_a_title() {
    let gateway = Gateway::new();
    for body in [r#"{"title": "Planning"}"#, "{}"] {
        let created = gateway.post("/chat/session", body).await;
        assert_eq!(created.status, 201);
        let expected = json!({
            "id": SESSION,
            "sessionId": SESSION,
            "title": "Planning",
            "createdAt": "2026-03-01T10:00:00Z",
            "lastMessageAt": "2026-03-01T10:01:00Z",
            "revision": 4,
        });
        assert_eq!(created.json(), expected);
        assert_eq!(created.header("etag"), "\"4\"");
    }
    let refused = gateway.post("/chat/session", r#"{"tilte": "x"}"#).await;
    refused.problem(400, "INVALID_ARGUMENT");
}

async fn rename(gateway: &Gateway, tag: &str, body: &'static str) -> Answer {
    let request = gateway
        .request(Method::PATCH, &format!("/chat/{SESSION}"))
        .header("content-type", "application/json")
        .header("if-match", tag);
    gateway.send(request.body(body.into()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renamed_at_the_revision_that_if_match_names() {
    let gateway = Gateway::new();
    for (tag, asked) in [("\"3\"", "revision: 3"), ("*", "revision: 0")] {
        let renamed = rename(&gateway, tag, r#"{"title": "Shipping"}"#).await;
        assert_eq!(renamed.status, 200);
        assert_eq!(renamed.json()["sessionId"], SESSION);
        assert_eq!(renamed.header("etag"), "\"4\"");
        let request = gateway.core.asked();
        assert!(request.contains(asked) && request.contains("title: \"Shipping\""));
    }
    for body in ["{}", r#"{"title": "x", "owner": "me"}"#] {
        let refused = rename(&gateway, "*", body).await;
        refused.problem(400, "INVALID_ARGUMENT");
    }
    for none in ["3", ""] {
        let refused = rename(&gateway, none, r#"{"title": "x"}"#).await;
        refused.invalid("If-Match");
    }
    let changed = Fault::new(Kind::Contended, "SESSION_CHANGED", "It was renamed.");
    gateway.core.fails(changed.fact("revision", 4));
    let refused = rename(&gateway, "\"3\"", r#"{"title": "x"}"#).await;
    assert_eq!(refused.problem(412, "SESSION_CHANGED")["revision"], 4);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_deleted() {
    let gateway = Gateway::new();
    let delete = async || {
        let request = gateway.request(Method::DELETE, &format!("/chat/{SESSION}"));
        gateway.send(request.body(Body::empty()).unwrap()).await
    };
    let deleted = delete().await;
    assert_eq!(deleted.status, 204);
    assert!(deleted.body.is_empty());
    let unknown = Fault::new(Kind::NotFound, "SESSION_NOT_FOUND", "No such session.");
    gateway.core.fails(unknown);
    delete().await.problem(404, "SESSION_NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn sessions_and_history_come_in_pages() {
    let gateway = Gateway::new();
    let sessions = gateway.get("/chat/sessions?limit=7&cursor=c").await.json();
    assert_eq!(sessions["items"][0]["sessionId"], SESSION);
    assert_eq!(sessions["nextCursor"], "next");
    assert!(gateway.core.asked().contains("page_size: 7"));
    gateway
        .get("/chat/sessions?lmiit=7")
        .await
        .problem(400, "INVALID_ARGUMENT");

    let history = gateway
        .get(&format!("/chat/{SESSION}/history"))
        .await
        .json();
    assert_eq!(history["nextCursor"], Value::Null);
    let items = history["items"].as_array().unwrap();
    let short = |item: &Value| {
        (
            item["role"].clone(),
            item["state"].clone(),
            item["reason"].clone(),
        )
    };
    assert_eq!(
        short(&items[0]),
        (json!("user"), json!("UNANSWERED"), json!("MODEL_MISSING"))
    );
    assert_eq!(
        short(&items[1]),
        (json!("user"), json!("ANSWERED"), Value::Null)
    );
    assert_eq!(items[2], answer());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_one_object_unless_a_stream_is_requested() {
    let gateway = Gateway::new();
    let whole = gateway
        .post(&path(), r#"{"message": "what is next?"}"#)
        .await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.json(), answer());
    assert!(gateway.core.asked().contains("content: \"what is next?\""));

    let events = events(&gateway, "what is next?").await;
    let expected = [
        ("token".to_owned(), json!({"text": "Write the\n"})),
        ("token".to_owned(), json!({"text": "notes."})),
        ("done".to_owned(), answer()),
    ];
    assert_eq!(events, expected);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_a_problem_in_either_form() {
    let gateway = Gateway::new();
    let whole = gateway.post(&path(), r#"{"message": "fail"}"#).await;
    whole.problem(503, "ASSISTANT_UNAVAILABLE");
    assert_eq!(whole.json()["reason"], "TRUNCATED");
    assert!(!whole.header("retry-after").is_empty());

    let (name, problem) = events(&gateway, "fail").await.pop().unwrap();
    assert_eq!((name.as_str(), &problem["status"]), ("error", &json!(503)));
    assert_eq!(problem["code"], "ASSISTANT_UNAVAILABLE");
    assert!(problem["traceId"].is_string());

    let (name, problem) = events(&gateway, "break off").await.pop().unwrap();
    assert_eq!(
        (name.as_str(), &problem["code"]),
        ("error", &json!("UNAVAILABLE"))
    );
    let whole = gateway.post(&path(), r#"{"message": "break off"}"#).await;
    whole.problem(503, "UNAVAILABLE");
}

#[tokio::test(start_paused = true)]
async fn an_error_before_the_answer_has_an_http_status() {
    let gateway = Gateway::new();
    let busy = Fault::new(Kind::Conflict, "CHAT_BUSY", "Wait.");
    gateway.core.fails(busy);
    let refused = gateway.post(&path(), r#"{"message": "x"}"#).await;
    refused.problem(409, "CHAT_BUSY");

    let quota = Fault::new(Kind::RateLimited, "QUOTA_EXCEEDED", "40 a minute.")
        .fact("limit", 40)
        .fact("windowSeconds", 60)
        .retry_after(std::time::Duration::from_secs(17));
    gateway.core.fails(quota);
    let refused = gateway.post(&path(), r#"{"message": "x"}"#).await;
    refused.problem(429, "QUOTA_EXCEEDED");
    assert_eq!(refused.header("retry-after"), "17");
    assert_eq!(refused.header("ratelimit-policy"), "\"default\";q=40;w=60");

    for body in [
        "{}",
        r#"{"message": 7}"#,
        r#"{"message": "x", "role": "system"}"#,
    ] {
        let refused = gateway.post(&path(), body).await;
        refused.problem(400, "INVALID_ARGUMENT");
    }
    let refused = gateway
        .post("/chat/nobody/message", r#"{"message": "x"}"#)
        .await;
    refused.problem(400, "INVALID_ARGUMENT");
}

#[tokio::test(start_paused = true)]
async fn a_model_may_take_minutes_but_not_for_ever() {
    let gateway = Gateway::new();
    let began = tokio::time::Instant::now();
    let answer = gateway.post(&path(), r#"{"message": "nothing"}"#).await;
    answer.problem(504, "DEADLINE_EXCEEDED");
    assert_eq!(began.elapsed().as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn an_error_names_the_field_of_the_request() {
    let gateway = Gateway::new();
    let refused = Fault::invalid_field("content", "is too long for the model's context window");
    gateway.core.fails(refused);
    let answer = gateway.post(&path(), r#"{"message": "Why?"}"#).await;
    answer.invalid("message");
    let detail = "message is too long for the model's context window.";
    assert_eq!(answer.json()["detail"], detail);

    let gateway = Gateway::new();
    gateway
        .core
        .fails(Fault::invalid_field("content", "must not be blank"));
    let comments = format!("/tasks/{TASK}/comments");
    let answer = gateway.post(&comments, r#"{"content": " "}"#).await;
    answer.invalid("content");

    let gateway = Gateway::new();
    let issued = Fault::invalid_field("page_token", "was not issued by this list");
    gateway.core.fails(issued);
    let answer = gateway.get("/chat/sessions?cursor=x").await;
    answer.invalid("cursor");
    assert_eq!(
        answer.json()["detail"],
        "cursor was not issued by this list."
    );
}
