//! Properties of every answer: request id, trace, errors, methods and size limits of the headers.

use std::collections::HashSet;

use reqwest::{Method, header::HeaderMap};
use serde_json::json;
use slipway_tests::{Answer, Client};

use super::{UNKNOWN, call, invalid, start, unauthorized};

/// The trace id of an answer; the header must be well-formed.
#[track_caller]
fn trace_id(headers: &HeaderMap) -> String {
    let text = headers["traceparent"].to_str().expect("ASCII");
    let parts: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    assert_eq!((parts[0], lengths), ("00", vec![2, 32, 16, 2]), "{text}");
    assert!(text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()));
    parts[1].to_owned()
}

/// Answers with all kinds of status.
async fn answers(admin: &Client, nobody: &Client) -> anyhow::Result<Vec<(u16, Answer)>> {
    let release = admin.post("/releases", &json!({"name": "a"})).await?;
    let path = format!("/releases/{}", release.body["id"].as_str().expect("an id"));
    let known = admin
        .request(Method::GET, &path)
        .header("if-none-match", "*");
    let large = admin.request(Method::POST, "/releases");
    let large = large
        .header("content-type", "application/json")
        .body(vec![b' '; 2 << 20]);
    let untyped = admin.request(Method::POST, "/releases").body("{}");
    Ok(vec![
        (201, release),
        (200, admin.get("/releases").await?),
        (304, admin.send(known).await?),
        (400, admin.post_text("/releases", "{").await?),
        (401, nobody.get("/releases").await?),
        (404, admin.get(&format!("/releases/{UNKNOWN}")).await?),
        (404, nobody.get("/nowhere").await?),
        (405, call(admin, Method::DELETE, "/releases").await?),
        (409, admin.patch(&format!("{path}/complete")).await?),
        (413, admin.send(large).await?),
        (415, admin.send(untyped).await?),
        (200, nobody.get("/openapi.json").await?),
        (200, nobody.get("/.well-known/jwks.json").await?),
    ])
}

#[tokio::test]
async fn every_answer_carries_a_request_id_and_a_trace() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let answers = answers(&team.admin, &server.client()).await?;
    let mut ids = HashSet::new();
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{:#}", answer.body);
        let trace = trace_id(&answer.headers);
        ids.insert(answer.header("x-request-id").to_owned());
        ids.insert(trace.clone());
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        if *status >= 400 {
            assert_eq!(answer.body["traceId"], trace, "the trace leads to the log");
        }
    }
    assert_eq!(ids.len(), 2 * answers.len(), "each has its own");
    assert!(!ids.contains(""));
    Ok(())
}

#[tokio::test]
async fn a_given_request_id_and_trace_are_used() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for path in ["/releases", "/nowhere"] {
        let request = team
            .admin
            .request(Method::GET, path)
            .header("x-request-id", "client-7")
            .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
        let answer = team.admin.send(request).await?;
        assert_eq!(answer.header("x-request-id"), "client-7");
        assert_eq!(trace_id(&answer.headers), trace);
        assert!(!answer.header("traceparent").contains("00f067aa0ba902b7"));
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_request_id_or_trace_is_replaced() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let zeros = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    let long = "x".repeat(129);
    for (request_id, trace) in [("a b", "garbage"), (&long, &zeros), ("", "00-1-2-3")] {
        let request = team
            .admin
            .request(Method::GET, "/releases")
            .header("x-request-id", request_id)
            .header("traceparent", trace);
        let answer = team.admin.send(request).await?;
        assert_eq!(answer.status, 200);
        assert_ne!(answer.header("x-request-id"), request_id);
        assert_ne!(trace_id(&answer.headers), "0".repeat(32));
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_route_is_not_found() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    for path in [
        "/",
        "/nowhere",
        "/releases/",
        "/tasks/",
        "/tasks/my/x",
        "/auth",
        "/v1",
        "/v2/releases",
    ] {
        for client in [&team.admin, &server.client()] {
            client.get(path).await?.refused(404, "NOT_FOUND");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_route_is_found_by_its_exact_spelling_only() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for path in ["/Releases", "//releases", "/releases;x=1", "/releases%2f"] {
        team.admin.get(path).await?.refused(404, "NOT_FOUND");
    }
    Ok(())
}

#[tokio::test]
async fn errors_of_the_headers_are_reported_before_errors_of_the_body() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let nobody = server.client();
    for path in ["/releases", "/releases/7/tasks"] {
        unauthorized(nobody.post_text(path, "{").await?, "UNAUTHENTICATED");
    }
    for path in [
        "/tasks/7/start",
        "/tasks/7/complete",
        "/releases/7/complete",
    ] {
        unauthorized(nobody.patch(path).await?, "UNAUTHENTICATED");
    }
    unauthorized(nobody.get("/releases?limit=0").await?, "UNAUTHENTICATED");
    Ok(())
}

#[tokio::test]
async fn large_headers_are_read_and_huge_ones_refused() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for (size, status) in [(20 << 10, 200), (200 << 10, 431)] {
        let request = team.admin.request(Method::GET, "/releases");
        let request = request.header("x-large", "x".repeat(size));
        let answer = team.admin.send(request).await?;
        match status {
            431 => drop(answer.refused(431, "HEAD_TOO_LARGE")),
            _ => assert_eq!(answer.status, status, "{size}"),
        }
    }
    // The process still works.
    team.admin.get("/releases").await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn a_body_for_an_operation_without_one_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let task = slipway_tests::team::task_ids(&release).remove(0);
    let path = format!("/tasks/{task}/start");
    let developer = &team.developers[0];
    let start = async |body: &'static str| {
        let request = developer.request(Method::PATCH, &path).body(body);
        developer.send(request).await
    };
    for other in ["{ no JSON", r#"{"status": "COMPLETED"}"#] {
        invalid(start(other).await?, "body");
    }
    let started = start("{}").await?.expect(200);
    assert_eq!(started["status"], "IN_PROCESS");
    Ok(())
}
