//! Tests of the conventions of all routes: errors, headers, limits.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Method, Request};
use jiff::SignedDuration;
use slipway_rpc::error::{Fault, Kind};
use tokio::time::Instant;

use crate::support::{ADA, Gateway, HOOK_SECRET, RELEASE, TASK, TTL, operations};

const MIB: usize = 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn an_unknown_route_is_not_found() {
    let gateway = Gateway::new();
    for path in ["/nowhere", "/v1/nowhere", "/v1", "/releases/", "/tasks/my/"] {
        gateway.get(path).await.problem(404, "NOT_FOUND");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_method_gets_the_list_of_allowed_ones() {
    let gateway = Gateway::new();
    for path in ["/releases", "/v1/releases"] {
        let request = gateway.request(Method::DELETE, path);
        let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
        answer.problem(405, "METHOD_NOT_ALLOWED");
        let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    }
}

#[tokio::test(start_paused = true)]
async fn every_route_is_served_under_v1_as_well() {
    let gateway = Gateway::new();
    let path = format!("/v1/tasks/{TASK}");
    assert_eq!(gateway.get(&path).await.status, 200);
    let request = Request::get(path).body(Body::empty()).unwrap();
    gateway.send(request).await.problem(401, "UNAUTHENTICATED");
}

#[tokio::test(start_paused = true)]
async fn a_body_over_one_mebibyte_is_refused() {
    let gateway = Gateway::new();
    let body = format!("{{\"name\": \"{}\"}}", "x".repeat(MIB));
    let announced = gateway
        .request(Method::POST, "/releases")
        .header("content-length", body.len());
    let answer = gateway.send(announced.body(Body::empty()).unwrap()).await;
    answer.problem(413, "BODY_TOO_LARGE");

    let pieces = body.into_bytes();
    let pieces: Vec<_> = pieces.chunks(7000).map(Bytes::copy_from_slice).collect();
    let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let answer = gateway.post("/releases", Body::from_stream(pieces)).await;
    answer.problem(413, "BODY_TOO_LARGE");
}

/// A body that arrives after the time `after`.
fn late(body: &'static str, after: Duration) -> Body {
    let piece = async move {
        tokio::time::sleep(after).await;
        Ok::<_, std::io::Error>(Bytes::from_static(body.as_bytes()))
    };
    Body::from_stream(stream::once(piece))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_a_client_error() {
    let gateway = Gateway::new();
    let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let answer = gateway.post("/releases", never).await;
    answer.problem(408, "BODY_TOO_SLOW");
    assert_eq!(answer.header("connection"), "close");
}

#[tokio::test(start_paused = true)]
async fn the_time_to_send_the_body_does_not_count_against_the_service() {
    let gateway = Gateway::new();
    gateway.core.is_silent();
    let started = Instant::now();
    let body = late("{\"name\": \"a\"}", Duration::from_secs(9));
    let answer = gateway.post("/releases", body).await;
    answer.problem(504, "DEADLINE_EXCEEDED");
    assert_eq!(started.elapsed().as_secs(), 9 + 11);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_json_is_refused() {
    let gateway = Gateway::new();
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/jsonp"),
        Some("application/json; charset=iso-8859-1"),
        Some("application/json; q=1; Charset=\"utf-16\""),
        Some(""),
    ] {
        let mut request = gateway.request(Method::POST, "/releases");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = gateway
            .send(request.body("{\"name\": \"a\"}".into()).unwrap())
            .await;
        answer.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let request = gateway
        .request(Method::POST, "/releases")
        .header("content-type", "Application/JSON; charset=utf-8");
    let answer = gateway
        .send(request.body("{\"name\": \"a\"}".into()).unwrap())
        .await;
    assert_eq!(answer.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_merge_patch_is_accepted_where_something_is_changed() {
    let gateway = Gateway::new();
    let path = format!("/releases/{RELEASE}");
    for (method, path, status) in [
        (Method::PATCH, path.as_str(), 200),
        (Method::POST, "/releases", 415),
    ] {
        let request = gateway.request(method, path);
        let request = request.header("content-type", "application/merge-patch+json");
        let request = request.body("{\"name\": \"a\"}".into()).unwrap();
        assert_eq!(gateway.send(request).await.status, status, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn malformed_json_is_refused() {
    let gateway = Gateway::new();
    let deep = format!("{{\"name\": {}", "{\"a\":".repeat(50_000));
    let bodies: [&[u8]; 5] = [b"", b"{", b"{\"name\": \"\xff\"}", b"[]", deep.as_bytes()];
    for body in bodies {
        let answer = gateway.post("/releases", body.to_vec()).await;
        assert_eq!(answer.status, 400, "{:?}", answer.body);
    }
    gateway
        .post("/releases", "[]")
        .await
        .problem(400, "MALFORMED_BODY");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_field_is_named() {
    let gateway = Gateway::new();
    for (body, field) in [
        (r#"{}"#, "name"),
        (r#"{"name": 1}"#, "name"),
        (r#"{"name": "a", "nmae": "b"}"#, "nmae"),
        (r#"{"name": "a", "name": "b"}"#, "name"),
        (r#"{"name": "a", "tasks": {}}"#, "tasks"),
        (
            r#"{"name": "a", "tasks": [{"title": "t", "assigneeId": "7"}]}"#,
            "tasks[0].assigneeId",
        ),
        (
            r#"{"name": "a", "tasks": [{"title": "t", "orderIndex": 1.5}]}"#,
            "tasks[0].orderIndex",
        ),
        (
            r#"{"name": "a", "tasks": [{"title": "t", "dueAt": "now"}]}"#,
            "tasks[0].dueAt",
        ),
    ] {
        gateway.post("/releases", body).await.invalid(field);
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_id_is_named() {
    let gateway = Gateway::new();
    for id in ["7", "0190c2b87a5e7c3f8f000000000000aa", "%FF", "%00"] {
        gateway.get(&format!("/tasks/{id}")).await.invalid("id");
        gateway.get(&format!("/releases/{id}")).await.invalid("id");
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_parameters_and_conditions_are_refused_by_name() {
    let gateway = Gateway::new();
    let send = async |method: &Method, path: &str, header: Option<&str>| {
        let token = match path.starts_with("/hooks/") {
            true => HOOK_SECRET.to_owned(),
            false => gateway.token(),
        };
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {token}"));
        if let Some(name) = header {
            request = request.header(name, "\"7\"");
        }
        gateway.send(request.body(Body::empty()).unwrap()).await
    };
    for (method, path, operation) in operations(&gateway).await {
        let lists = |place: &str, name: &str| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let mut names = parameters
                .filter(|one| one["in"] == place)
                .map(|one| &one["name"]);
            names.any(|one| one == name)
        };
        let unknown = send(&method, &format!("{path}?colour=red"), None).await;
        if path == "/hooks/alerts" {
            unknown.problem(415, "UNSUPPORTED_MEDIA_TYPE");
            continue;
        }
        unknown.invalid("colour");
        if !lists("header", "If-Match") {
            send(&method, &path, Some("if-match"))
                .await
                .invalid("If-Match");
        }
        if method != Method::GET {
            let answer = send(&method, &path, Some("if-none-match")).await;
            answer.invalid("If-None-Match");
        }
        for name in ["q", "cursor", "group", "limit"]
            .into_iter()
            .filter(|name| lists("query", name))
        {
            for wrong in ["%00", "a%0Ab", "%E2%80%AE", "%FF"] {
                send(&method, &format!("/v1{path}?{name}={wrong}"), None)
                    .await
                    .invalid(name);
            }
        }
        let documented = operation["responses"]["400"]["description"].as_str();
        assert!(
            documented.unwrap().contains("INVALID_ARGUMENT"),
            "{method} {path}"
        );
    }
    for (query, field) in [("=1", "query"), ("limit=0", "limit"), ("a%00=1", "a\\u{0}")] {
        gateway.get(&format!("/users?{query}")).await.invalid(field);
    }
    assert_eq!(gateway.get("/auth/me?").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn without_a_valid_token_no_service_is_called() {
    let gateway = Gateway::new();
    let old = gateway.token();
    gateway
        .clock
        .advance(SignedDuration::try_from(TTL).unwrap());
    let expired = format!("Bearer {old}");
    for (authorization, code) in [
        (None, "UNAUTHENTICATED"),
        (Some("Basic YTpi"), "UNAUTHENTICATED"),
        (Some("Bearer x.y.z"), "INVALID_TOKEN"),
        (Some(expired.as_str()), "TOKEN_EXPIRED"),
    ] {
        let mut request = Request::get("/auth/me");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
        answer.problem(401, code);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(gateway.core.metadata("traceparent"), None);
}

#[tokio::test(start_paused = true)]
async fn the_metadata_of_a_request_reaches_the_service() {
    let gateway = Gateway::new();
    let request = gateway
        .request(Method::POST, "/releases")
        .header("content-type", "application/json")
        .header("idempotency-key", "key-1")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        );
    let answer = gateway
        .send(request.body("{\"name\": \"a\"}".into()).unwrap())
        .await;
    assert_eq!(answer.status, 201);
    let metadata = |name| gateway.core.metadata(name).unwrap();
    assert_eq!(metadata("idempotency-key"), "key-1");
    assert_eq!(metadata("slipway-client-address"), "192.0.2.7");
    assert_eq!(
        metadata("slipway-service-token"),
        gateway.services.current()
    );
    assert_eq!(
        metadata("authorization"),
        format!("Bearer {}", gateway.token())
    );
    assert_eq!(metadata("grpc-timeout"), "10000000u");
    assert!(metadata("traceparent").contains("4bf92f3577b34da6a3ce929d0e0e4736"));
    assert!(
        answer
            .header("traceparent")
            .contains("4bf92f3577b34da6a3ce929d0e0e4736")
    );
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_is_visible_and_short() {
    let gateway = Gateway::new();
    let long = "k".repeat(256);
    for key in ["", "two words", long.as_str()] {
        let request = gateway
            .request(Method::POST, "/releases")
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        let answer = gateway
            .send(request.body("{\"name\": \"a\"}".into()).unwrap())
            .await;
        answer.invalid("Idempotency-Key");
    }
}

#[tokio::test(start_paused = true)]
async fn a_valid_request_id_is_kept() {
    let gateway = Gateway::new();
    let long = "x".repeat(129);
    for (sent, kept) in [
        ("mine-1", true),
        ("a b", false),
        (long.as_str(), false),
        ("", false),
    ] {
        let request = Request::get("/nowhere").header("x-request-id", sent);
        let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.header("x-request-id") == sent, kept);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_service_is_answered_with_retry_after() {
    let gateway = Gateway::new();
    gateway
        .core
        .fails(Fault::new(Kind::Unavailable, "UNAVAILABLE", "Away."));
    let answer = gateway.get("/auth/me").await;
    answer.problem(503, "UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_answer_times_out() {
    let gateway = Gateway::new();
    gateway.core.is_silent();
    let answer = gateway
        .patch(&format!("/releases/{RELEASE}/complete"))
        .await;
    answer.problem(504, "DEADLINE_EXCEEDED");
}

#[tokio::test(start_paused = true)]
async fn a_panic_affects_only_its_request() {
    let gateway = Gateway::new();
    gateway.core.panics();
    let problem = gateway.get("/auth/me").await.problem(500, "INTERNAL");
    assert!(!problem.to_string().contains("told to"));
    assert_eq!(gateway.get("/auth/me").await.json()["id"], ADA);
}
