//! Tests of `/auth/…`, `/users` and the public keys.

use axum::body::Body;
use http::Request;
use serde_json::json;
use slipway_rpc::error::{Fault, Kind};
use std::time::Duration;

use crate::support::{ADA, Answer, Gateway, RELEASE};

fn post(path: &str) -> http::request::Builder {
    Request::post(path).header("content-type", "application/json")
}

async fn send(gateway: &Gateway, path: &str, body: serde_json::Value) -> Answer {
    let request = post(path).body(body.to_string().into()).unwrap();
    gateway.send(request).await
}

#[tokio::test(start_paused = true)]
async fn registering_signs_in() {
    let gateway = Gateway::new();
    let body = json!({"username": "ada", "email": "ada@example.org", "password": "correct horse"});
    let answer = send(&gateway, "/auth/register", body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.json(),
        json!({
            "token": "header.claims.signature",
            "tokenType": "Bearer",
            "expiresAt": "2026-03-01T11:00:00Z",
            "refreshToken": "slr_1_2",
            "refreshExpiresAt": "2026-03-02T10:00:00Z",
            "sessionId": RELEASE,
            "user": {
                "id": ADA,
                "username": "ada",
                "displayName": "Ada Lovelace",
                "email": "ada@example.org",
                "role": "DEVELOPER",
                "createdAt": "2026-03-01T10:00:00Z",
            },
        })
    );
    assert_eq!(answer.header("cache-control"), "private, no-store");
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(gateway.core.metadata("authorization"), None);
}

#[tokio::test(start_paused = true)]
async fn an_admin_registers_others_with_their_own_token() {
    let gateway = Gateway::new();
    let body =
        json!({"username": "eve", "email": "e@example.org", "password": "x", "role": "ADMIN"});
    let answer = gateway.post("/auth/register", body.to_string()).await;
    assert_eq!(answer.status, 201);
    let bearer = gateway.core.metadata("authorization").unwrap();
    assert_eq!(bearer, format!("Bearer {}", gateway.token()));
    assert!(gateway.core.asked().contains("role: Admin"));
    let body = json!({"username": "eve", "email": "e@example.org", "password": "x", "role": "GOD"});
    gateway
        .post("/auth/register", body.to_string())
        .await
        .invalid("role");
}

#[tokio::test(start_paused = true)]
async fn a_login_names_a_user_or_an_address() {
    let gateway = Gateway::new();
    for (field, value) in [("username", "ada"), ("email", "ada@example.org")] {
        let answer = send(
            &gateway,
            "/auth/login",
            json!({field: value, "password": "p"}),
        )
        .await;
        assert_eq!(answer.status, 200);
        assert!(
            gateway
                .core
                .asked()
                .contains(&format!("login: \"{value}\""))
        );
    }
    let both = json!({"username": "a", "email": "b", "password": "c"});
    send(&gateway, "/auth/login", both)
        .await
        .invalid("username");
    send(&gateway, "/auth/login", json!({"password": "c"}))
        .await
        .invalid("username");
}

#[tokio::test(start_paused = true)]
async fn a_failed_login_sets_no_cookie() {
    let gateway = Gateway::new();
    gateway.core.fails(Fault::new(
        Kind::Unauthenticated,
        "INVALID_CREDENTIALS",
        "No.",
    ));
    let answer = send(
        &gateway,
        "/auth/login",
        json!({"username": "a", "password": "b"}),
    )
    .await;
    answer.problem(401, "INVALID_CREDENTIALS");
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(answer.header("cache-control"), "private, no-store");
}

#[tokio::test(start_paused = true)]
async fn too_many_logins_have_to_wait() {
    let gateway = Gateway::new();
    let fault = Fault::new(Kind::RateLimited, "TOO_MANY_ATTEMPTS", "Wait.")
        .fact("limit", 10)
        .fact("windowSeconds", 900)
        .retry_after(Duration::from_millis(41_200));
    gateway.core.fails(fault);
    let answer = send(
        &gateway,
        "/auth/login",
        json!({"username": "a", "password": "b"}),
    )
    .await;
    answer.problem(429, "TOO_MANY_ATTEMPTS");
    assert_eq!(answer.header("retry-after"), "42");
    assert_eq!(answer.header("ratelimit"), "\"default\";r=0;t=42");
    assert_eq!(answer.header("ratelimit-policy"), "\"default\";q=10;w=900");
}

#[tokio::test(start_paused = true)]
async fn a_token_in_the_query_is_not_accepted() {
    let gateway = Gateway::new();
    let uri = format!("/users?token={}", gateway.token());
    let request = Request::get(uri).body(Body::empty()).unwrap();
    gateway.send(request).await.problem(401, "UNAUTHENTICATED");
}

#[tokio::test(start_paused = true)]
async fn users_are_listed_without_their_addresses() {
    let gateway = Gateway::new();
    let answer = gateway.get("/users?q=ad&limit=2&cursor=c").await;
    assert_eq!(
        answer.json(),
        json!({
            "items": [{"id": ADA, "username": "ada", "displayName": "Ada Lovelace", "role": "DEVELOPER"}],
            "nextCursor": "next",
        })
    );
    let asked = gateway.core.asked();
    assert!(
        asked.contains(r#"query: "ad", page_size: 2, page_token: "c""#),
        "{asked}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_public_keys_need_no_token() {
    let gateway = Gateway::new();
    let request = Request::get("/.well-known/jwks.json")
        .body(Body::empty())
        .unwrap();
    let answer = gateway.send(request).await;
    assert_eq!(answer.json(), json!({"keys": []}));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
}
