//! Tests of sessions: refreshing and ending them, and the cookie of browsers.

use axum::body::Body;
use gateway::Config;
use http::{Method, Request, StatusCode};
use jiff::SignedDuration;
use serde_json::json;
use slipway_rpc::error::{Fault, Kind};

use crate::support::{ADA, Answer, Gateway, RELEASE, SECRET, TASK};

/// A request with the cookie and these headers, and an empty JSON object.
async fn with_cookie(
    gateway: &Gateway,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "slipway.example")
        .header("cookie", format!("theme=dark; slipway_session={SECRET}"))
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    gateway.send(request.body("{}".into()).unwrap()).await
}

async fn read(gateway: &Gateway) -> Answer {
    with_cookie(gateway, Method::GET, "/auth/me", &[]).await
}

#[tokio::test(start_paused = true)]
async fn a_refresh_needs_only_its_token() {
    let gateway = Gateway::new();
    let request = Request::post("/auth/refresh").header("content-type", "application/json");
    let body = json!({"refreshToken": "slr_a_b"}).to_string();
    let answer = gateway.send(request.body(body.into()).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["refreshToken"], "slr_1_2");
    assert!(gateway.core.asked().contains("slr_a_b"));
    assert_eq!(gateway.core.metadata("authorization"), None);
}

#[tokio::test(start_paused = true)]
async fn the_service_learns_what_the_client_calls_itself() {
    let gateway = Gateway::new();
    let request = gateway
        .request(Method::POST, "/auth/login")
        .header("content-type", "application/json")
        .header("user-agent", "a program/1.0");
    let body = json!({"username": "ada", "password": "p"}).to_string();
    let answer = gateway.send(request.body(body.into()).unwrap()).await;
    assert_eq!(answer.status, 200);
    let agent = gateway.core.metadata("slipway-client-agent");
    assert_eq!(agent.as_deref(), Some("a program/1.0"));
}

#[tokio::test(start_paused = true)]
async fn sessions_are_listed_with_their_places() {
    let gateway = Gateway::new();
    let answer = gateway.get("/auth/sessions?limit=2&cursor=c").await;
    assert_eq!(
        answer.json(),
        json!({
            "items": [{
                "id": RELEASE,
                "kind": "BROWSER",
                "userAgent": "Firefox",
                "address": null,
                "createdAt": "2026-03-01T10:00:00Z",
                "lastSeenAt": "2026-03-01T10:01:00Z",
                "expiresAt": "2026-03-02T10:00:00Z",
                "current": true,
            }],
            "nextCursor": "next",
        })
    );
    let asked = gateway.core.asked();
    assert!(
        asked.contains(r#"page_size: 2, page_token: "c""#),
        "{asked}"
    );
}

#[tokio::test(start_paused = true)]
async fn sessions_are_ended_one_by_one_or_all_together() {
    let gateway = Gateway::new();
    for (method, path) in [
        (Method::POST, "/auth/logout".to_owned()),
        (Method::DELETE, "/auth/sessions".to_owned()),
        (Method::DELETE, format!("/auth/sessions/{RELEASE}")),
    ] {
        let request = gateway.request(method, &path).body(Body::empty()).unwrap();
        assert_eq!(gateway.send(request).await.status, 204, "{path}");
        let bearer = gateway.core.metadata("authorization").unwrap();
        assert_eq!(bearer, format!("Bearer {}", gateway.token()));
    }
    assert!(gateway.core.asked().contains(RELEASE));
}

#[tokio::test(start_paused = true)]
async fn a_browser_gets_a_cookie_and_no_token() {
    for (public_url, cookie) in [
        (
            None,
            "slipway_session=slb_1_2; HttpOnly; SameSite=Lax; Path=/; Max-Age=86400",
        ),
        (
            Some("https://slipway.example"),
            "__Host-slipway_session=slb_1_2; HttpOnly; SameSite=Lax; Path=/; Max-Age=86400; Secure",
        ),
    ] {
        let gateway = Gateway::with(Config {
            public_url: public_url.map(str::to_owned),
            ..Config::default()
        });
        let request = Request::post("/auth/session").header("content-type", "application/json");
        let body = json!({"username": "ada", "password": "p"}).to_string();
        let answer = gateway.send(request.body(body.into()).unwrap()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("set-cookie"), cookie);
        assert_eq!(answer.header("cache-control"), "private, no-store");
        let session = answer.json();
        assert_eq!(session["expiresAt"], "2026-03-02T10:00:00Z");
        assert_eq!(session["user"]["id"], ADA);
        assert_eq!(session.as_object().unwrap().len(), 2, "{session}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_site_cannot_sign_a_browser_in_or_out() {
    let gateway = Gateway::new();
    for method in [Method::POST, Method::DELETE] {
        for site in ["cross-site", "same-site", "none"] {
            let headers = [("sec-fetch-site", site)];
            let answer = with_cookie(&gateway, method.clone(), "/auth/session", &headers).await;
            answer.problem(403, "CROSS_ORIGIN");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_cookie_is_exchanged_once_until_shortly_before_the_token_expires() {
    let gateway = Gateway::new();
    for _ in 0..3 {
        assert_eq!(read(&gateway).await.status, 200);
        let bearer = gateway.core.metadata("authorization").unwrap();
        assert_eq!(bearer, format!("Bearer {}", gateway.token()));
    }
    assert_eq!(gateway.core.exchanges(), 1);
    gateway.clock.advance(SignedDuration::from_secs(3600 - 61));
    assert_eq!(read(&gateway).await.status, 200);
    assert_eq!(gateway.core.exchanges(), 1);
    gateway.clock.advance(SignedDuration::from_secs(2));
    assert_eq!(read(&gateway).await.status, 200);
    assert_eq!(gateway.core.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_cookie_of_an_ended_session_is_refused() {
    let gateway = Gateway::new();
    assert_eq!(read(&gateway).await.status, 200);
    gateway.end_session();
    read(&gateway).await.problem(401, "SESSION_ENDED");
    gateway.get("/auth/me").await.problem(401, "SESSION_ENDED");
}

#[tokio::test(start_paused = true)]
async fn a_cookie_of_no_session_is_refused() {
    let gateway = Gateway::new();
    for (cookie, code) in [
        ("slipway_session=slb_3_4", "INVALID_SESSION"),
        ("slipway_session=", "INVALID_SESSION"),
        ("x_slipway_session=slb_1_2", "UNAUTHENTICATED"),
        ("__Host-slipway_session=slb_1_2", "UNAUTHENTICATED"),
        ("slipway_session", "UNAUTHENTICATED"),
    ] {
        let request = Request::get("/auth/me").header("cookie", cookie);
        let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
        answer.problem(401, code);
    }
}

#[tokio::test(start_paused = true)]
async fn the_cookie_counts_for_reads_and_for_requests_of_own_pages() {
    let gateway = Gateway::new();
    let start = format!("/tasks/{TASK}/start");
    for (headers, own) in [
        (vec![], false),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("sec-fetch-site", "same-site")], false),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("origin", "http://slipway.example")], true),
        (vec![("origin", "http://slipway.example:81")], false),
    ] {
        let answer = with_cookie(&gateway, Method::PATCH, &start, &headers).await;
        match own {
            true => assert_eq!(answer.status, StatusCode::OK, "{headers:?}"),
            false => drop(answer.problem(403, "CROSS_ORIGIN")),
        }
        let answer = with_cookie(&gateway, Method::GET, "/auth/me", &headers).await;
        assert_eq!(answer.status, 200, "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_wins_over_the_cookie() {
    let gateway = Gateway::new();
    let bearer = format!("Bearer {}", gateway.token());
    let foreign = ("sec-fetch-site", "cross-site");
    let start = format!("/tasks/{TASK}/start");
    let headers = [("authorization", &*bearer), foreign];
    let answer = with_cookie(&gateway, Method::PATCH, &start, &headers).await;
    assert_eq!(answer.status, 200);
    for (header, code) in [
        ("Bearer x", "INVALID_TOKEN"),
        ("Basic YTpi", "UNAUTHENTICATED"),
    ] {
        let headers = [("authorization", header)];
        let answer = with_cookie(&gateway, Method::GET, "/auth/me", &headers).await;
        answer.problem(401, code);
    }
    assert_eq!(gateway.core.exchanges(), 0);
}

#[tokio::test(start_paused = true)]
async fn signing_a_browser_out_deletes_the_cookie_whatever_it_is_worth() {
    let gateway = Gateway::new();
    let own = [("sec-fetch-site", "same-origin")];
    let gone = "slipway_session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0";
    let answer = with_cookie(&gateway, Method::DELETE, "/auth/session", &own).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("set-cookie"), gone);
    assert_eq!(gateway.core.asked(), "LogoutRequest");
    for cookie in ["slipway_session=slb_3_4", "slipway_session=", "a=b"] {
        let request = Request::delete("/auth/session")
            .header("cookie", cookie)
            .header("sec-fetch-site", "same-origin");
        let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("set-cookie"), gone);
    }
    // An end that is not certain must not look like one.
    let away = Fault::new(Kind::Unavailable, "UNAVAILABLE", "Away.");
    gateway.core.fails(away);
    let answer = with_cookie(&gateway, Method::DELETE, "/auth/session", &own).await;
    assert!(!answer.headers.contains_key("set-cookie"));
    answer.problem(503, "UNAVAILABLE");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_session_ends() {
    let gateway = Gateway::new();
    let mut reader = gateway.stream("", None).await;
    reader.next().await.unwrap();
    gateway.end_session();
    let goodbye = reader.next().await.unwrap();
    assert!(goodbye.is("goodbye"));
    assert_eq!(goodbye.data.unwrap(), json!({"reason": "session_ended"}));
    assert!(reader.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cookie_that_another_host_has_set_does_not_hide_the_session() {
    let gateway = Gateway::new();
    let cookies = format!("slipway_session=junk; slipway_session={SECRET}");
    let request = Request::get("/auth/me")
        .header("host", "slipway.example")
        .header("cookie", cookies);
    let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200);
}
