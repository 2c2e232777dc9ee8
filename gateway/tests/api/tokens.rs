//! Tests of tokens for programs.

use axum::body::Body;
use http::{Method, Request};
use jiff::SignedDuration;
use serde_json::json;
use slipway_rpc::access::{Role, Scope};

use crate::support::{Answer, Gateway, HOOK_SECRET, PROGRAM, RELEASE};

async fn with(gateway: &Gateway, token: &str, method: Method, path: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"));
    gateway.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_token_is_shown_once_when_it_is_created() {
    let gateway = Gateway::new();
    let request = gateway
        .request(Method::POST, "/auth/tokens")
        .header("content-type", "application/json");
    let body = json!({"name": "nightly build", "scope": "WORK"}).to_string();
    let answer = gateway.send(request.body(body.into()).unwrap()).await;
    assert_eq!(answer.status, 201);
    let mut about = json!({
        "id": RELEASE,
        "name": "nightly build",
        "scope": "WORK",
        "prefix": "slp_1",
        "createdAt": "2026-03-01T10:00:00Z",
        "expiresAt": "2026-03-02T10:00:00Z",
        "lastUsedAt": null,
    });
    let listed = gateway.get("/auth/tokens?limit=2").await.json();
    assert_eq!(listed, json!({"items": [about], "nextCursor": "next"}));
    about["token"] = PROGRAM.into();
    assert_eq!(answer.json(), about);
    let path = format!("/auth/tokens/{RELEASE}");
    let request = gateway.request(Method::DELETE, &path);
    let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 204);
    assert!(gateway.core.asked().contains(RELEASE));
}

#[tokio::test(start_paused = true)]
async fn services_get_an_access_token_that_is_renewed_every_minute() {
    let gateway = Gateway::new();
    gateway.program_is(Role::Developer, Scope::Read);
    let read = async || {
        let answer = with(&gateway, PROGRAM, Method::GET, "/auth/me").await;
        assert_eq!(answer.status, 200);
        let sent = gateway.core.metadata("authorization").unwrap();
        assert!(!sent.contains("slp_"), "{sent}");
    };
    read().await;
    gateway.clock.advance(SignedDuration::from_secs(59));
    read().await;
    assert_eq!(gateway.core.exchanges(), 1);
    gateway.clock.advance(SignedDuration::from_secs(1));
    read().await;
    assert_eq!(gateway.core.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_accepted_is_refused_with_its_reason() {
    let gateway = Gateway::new();
    for token in ["slp_", "slp_1_3", "slp_é"] {
        let answer = with(&gateway, token, Method::GET, "/auth/me").await;
        assert_eq!(answer.status, 401, "{token}");
    }
    let answer = with(&gateway, "slp_1_3", Method::GET, "/auth/me").await;
    assert_eq!(answer.json()["code"], "INVALID_TOKEN");
    assert_eq!(gateway.core.exchanges(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_takes_the_token_of_an_admin_that_may_do_more_than_read() {
    for (role, scope, status) in [
        (Role::Admin, Scope::Admin, 204),
        (Role::Admin, Scope::Work, 204),
        (Role::Admin, Scope::Read, 403),
        (Role::Developer, Scope::Admin, 403),
    ] {
        let gateway = Gateway::new();
        gateway.program_is(role, scope);
        let hook = async |token: &str| {
            let request = Request::post("/hooks/alerts")
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json");
            let body = json!({"alerts": []}).to_string();
            gateway.send(request.body(body.into()).unwrap()).await
        };
        let answer = hook(PROGRAM).await;
        assert_eq!(answer.status, status, "{role:?} {scope:?}");
        assert_eq!(hook("slp_1_3").await.status, 401);
        assert_eq!(hook(HOOK_SECRET).await.status, 204);
    }
}
