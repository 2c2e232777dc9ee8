//! Tests of the headers for browsers and caches.

use axum::body::Body;
use gateway::Config;
use http::{HeaderName, HeaderValue, Method, Request};

use crate::support::{ADA, Answer, COMMENT, Gateway, RELEASE, TASK, operations};

/// Asserts that the response may not be cached, framed, run as a page, or sent as a referrer.
#[track_caller]
fn is_private(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "private, no-store");
    is_shut(answer);
    let policy = answer.header("content-security-policy");
    assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'");
}

#[track_caller]
fn is_shut(answer: &Answer) {
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test(start_paused = true)]
async fn responses_that_depend_on_the_caller_are_not_cached() {
    let gateway = Gateway::new();
    for (method, path, _) in operations(&gateway).await {
        if path.ends_with("/stream") || path.ends_with("jwks.json") {
            continue;
        }
        for prefix in ["", "/v1"] {
            let path = format!("{prefix}{}", path.replace("{id}", ADA));
            let signed_in = gateway.request(method.clone(), &path);
            let nobody = Request::builder().method(method.clone()).uri(&path);
            for request in [signed_in, nobody] {
                let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
                is_private(&answer);
            }
        }
    }
    for path in ["/nowhere", "/v1", "/docsx"] {
        is_private(&gateway.get(path).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_with_an_etag_is_not_cached_either() {
    let gateway = Gateway::new();
    let path = format!("/releases/{RELEASE}");
    let answer = gateway.get(&path).await;
    assert_eq!(
        (answer.header("etag"), answer.status.as_u16()),
        ("\"7\"", 200)
    );
    is_private(&answer);
    // A client that stores it itself can still ask whether it has changed.
    let request = gateway
        .request(Method::GET, &path)
        .header("if-none-match", "\"7\"");
    let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 304);
    is_private(&answer);
}

#[tokio::test(start_paused = true)]
async fn an_empty_header_is_ignored_or_refused() {
    let gateway = Gateway::new();
    let send = async |method: Method, path: &str, name: &str| {
        let request = gateway
            .request(method, path)
            .header("content-type", "application/json");
        let body = match request.method_ref() {
            Some(&Method::GET) => "",
            _ => r#"{"content": "x"}"#,
        };
        let mut request = request.body(Body::from(body)).unwrap();
        request.headers_mut().insert(
            HeaderName::try_from(name).unwrap(),
            HeaderValue::from_static(""),
        );
        gateway.send(request).await
    };
    let release = format!("/releases/{RELEASE}");
    for name in [
        "if-none-match",
        "accept",
        "accept-encoding",
        "content-encoding",
        "content-type",
        "cookie",
        "traceparent",
        "x-request-id",
        "x-forwarded-proto",
    ] {
        let answer = send(Method::GET, &release, name).await;
        assert_eq!(answer.status, 200, "{name}");
        assert!(!answer.header("x-request-id").is_empty());
    }
    let comments = format!("/tasks/{TASK}/comments");
    let answer = send(Method::POST, &comments, "content-encoding").await;
    assert_eq!(answer.status, 201);
    let answer = send(Method::POST, &comments, "idempotency-key").await;
    answer.invalid("Idempotency-Key");
    let answer = send(Method::POST, &comments, "content-type").await;
    answer.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    let answer = send(Method::PATCH, &format!("/comments/{COMMENT}"), "if-match").await;
    answer.invalid("If-Match");
    let answer = send(Method::GET, &release, "authorization").await;
    answer.problem(401, "UNAUTHENTICATED");
}

#[tokio::test(start_paused = true)]
async fn the_stream_is_not_cached() {
    let gateway = Gateway::new();
    let reader = gateway.stream("", None).await;
    assert_eq!(
        reader.response.headers()["cache-control"],
        "private, no-store"
    );
    assert_eq!(reader.response.headers()["x-frame-options"], "DENY");
}

#[tokio::test(start_paused = true)]
async fn the_documentation_pages_run_only_their_own_scripts() {
    let gateway = Gateway::new();
    for path in [
        "/docs",
        "/docs/",
        "/docs/index.html",
        "/docs/swagger-ui-bundle.js",
        "/docs/nothing",
    ] {
        let answer = gateway.get(path).await;
        is_shut(&answer);
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
    }
    // The policy forbids scripts within the pages: there are none.
    let page = gateway.get("/docs/").await;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let scripts: Vec<_> = page.split("<script").skip(1).collect();
    assert_eq!(scripts.len(), 3, "{page}");
    for script in scripts {
        assert!(script.trim_start().starts_with("src=\"./"), "{script}");
        let (_, within) = script.split_once('>').unwrap();
        assert!(within.split("</script>").next().unwrap().trim().is_empty());
    }
    for forbidden in ["<style", " style=", " onload=", "javascript:", "http"] {
        assert!(!page.contains(forbidden), "{forbidden}: {page}");
    }
    is_shut(&gateway.get("/openapi.json").await);
    is_shut(&gateway.get("/.well-known/jwks.json").await);
}

/// What a browser asks before it lets a page of this origin send a request.
async fn preflight(gateway: &Gateway, origin: &str) -> Answer {
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri("/tasks/my")
        .header("origin", origin)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    gateway.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn only_pages_of_configured_origins_may_call_the_api() {
    let ours = "https://dashboard.example.com";
    let gateway = Gateway::with(Config {
        cors_origins: vec![HeaderValue::from_static("https://dashboard.example.com")],
        ..Config::default()
    });
    let allowed = preflight(&gateway, ours).await;
    assert_eq!(allowed.header("access-control-allow-origin"), ours);
    let methods = allowed.header("access-control-allow-methods");
    assert_eq!(methods, "GET,POST,PUT,PATCH,DELETE");
    let headers = allowed.header("access-control-allow-headers");
    for name in [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
    ] {
        assert!(
            headers.split(',').any(|one| one == name),
            "{name}: {headers}"
        );
    }
    let request = gateway
        .request(Method::GET, "/auth/me")
        .header("origin", ours);
    let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("access-control-allow-origin"), ours);
    // A body that is announced as too large is refused before any route.
    let request = gateway
        .request(Method::POST, "/releases")
        .header("origin", ours)
        .header("content-length", "1000000000");
    let refused = gateway.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(refused.status, 413);
    assert_eq!(refused.header("access-control-allow-origin"), ours);
    let readable = answer.header("access-control-expose-headers");
    assert!(readable.contains("etag"), "{readable}");

    for answer in [
        preflight(&gateway, "https://evil.example.com").await,
        preflight(&gateway, "null").await,
        preflight(&Gateway::new(), ours).await,
        allowed,
    ] {
        // Another site never acts with a user's cookie.
        assert!(
            !answer
                .headers
                .contains_key("access-control-allow-credentials")
        );
    }
    let other = preflight(&gateway, "https://evil.example.com").await;
    assert!(!other.headers.contains_key("access-control-allow-origin"));
    assert!(
        !preflight(&Gateway::new(), ours)
            .await
            .headers
            .contains_key("access-control-allow-origin")
    );
}

#[tokio::test(start_paused = true)]
async fn browsers_are_told_to_use_only_https_where_clients_use_it() {
    for https in [false, true] {
        let gateway = Gateway::with(Config {
            public_url: https.then(|| "https://slipway.example".to_owned()),
            ..Config::default()
        });
        let answer = gateway.get("/auth/me").await;
        assert_eq!(
            answer.headers.contains_key("strict-transport-security"),
            https
        );
    }
}
