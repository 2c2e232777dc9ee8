//! Tests of malformed HTTP requests.

use axum::body::Body;
use http::{Method, Request, Version};

use crate::support::{Answer, Gateway};

async fn send(gateway: &Gateway, version: Version, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder()
        .method(Method::GET)
        .uri("/.well-known/jwks.json")
        .version(version);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    gateway
        .send_as_it_is(request.body(Body::empty()).unwrap())
        .await
}

#[track_caller]
fn refused(answer: &Answer) {
    answer.problem(400, "MALFORMED_REQUEST");
    assert_eq!(answer.header("connection"), "close");
}

#[tokio::test(start_paused = true)]
async fn a_request_names_one_host() {
    let gateway = Gateway::new();
    let host = ("host", "slipway.example");
    assert_eq!(send(&gateway, Version::HTTP_11, &[host]).await.status, 200);
    assert_eq!(send(&gateway, Version::HTTP_10, &[]).await.status, 200);
    assert_eq!(send(&gateway, Version::HTTP_2, &[]).await.status, 200);
    refused(&send(&gateway, Version::HTTP_11, &[]).await);
    refused(&send(&gateway, Version::HTTP_11, &[host, host]).await);
    refused(&send(&gateway, Version::HTTP_11, &[("host", "a b")]).await);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_chunked_once_or_not_at_all() {
    let gateway = Gateway::new();
    let host = ("host", "slipway.example");
    let chunked = ("transfer-encoding", "chunked");
    let answer = send(&gateway, Version::HTTP_11, &[host, chunked]).await;
    assert_eq!(answer.status, 200);
    for codings in ["chunked, chunked", "gzip, chunked", "gzip", ""] {
        let coded = ("transfer-encoding", codings);
        refused(&send(&gateway, Version::HTTP_11, &[host, coded]).await);
    }
    refused(&send(&gateway, Version::HTTP_11, &[host, chunked, chunked]).await);
}

#[tokio::test(start_paused = true)]
async fn errors_of_any_request_are_documented_for_all_operations() {
    let gateway = Gateway::new();
    for (method, path, operation) in crate::support::operations(&gateway).await {
        let describes = |status: &str, code: &str| {
            let text = operation["responses"][status]["description"].as_str();
            assert!(
                text.is_some_and(|text| text.contains(code)),
                "{method} {path} {status}: {text:?}"
            );
        };
        describes("400", "MALFORMED_REQUEST");
        describes("413", "BODY_TOO_LARGE");
        describes("431", "HEAD_TOO_LARGE");
        if operation["requestBody"].is_object() {
            describes("415", "UNSUPPORTED_MEDIA_TYPE");
            describes("415", "UNSUPPORTED_CONTENT_CODING");
        }
        describes("503", "OVERLOADED");
    }
}
