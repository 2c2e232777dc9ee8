//! Tests of `/openapi.json` and `/docs`.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::support::{ADA, Gateway};

/// Routes for people, which are not part of the API.
const UNDOCUMENTED: [&str; 4] = ["/openapi.json", "/docs", "/docs/", "/docs/{*rest}"];

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

async fn document(gateway: &Gateway) -> Value {
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    gateway.send(request).await.json()
}

#[tokio::test(start_paused = true)]
async fn the_document_is_the_one_that_was_agreed_on() {
    let mut document = document(&Gateway::new()).await;
    document["info"]["version"] = "[version]".into();
    // The order of object members depends on cargo features of other crates.
    document.sort_all_objects();
    insta::assert_json_snapshot!("openapi", document);
}

#[tokio::test(start_paused = true)]
async fn every_route_is_documented_and_nothing_else_is() {
    let gateway = Gateway::new();
    let document = document(&gateway).await;
    let documented: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let routed = routes(&gateway);
    let (versioned, canonical): (BTreeSet<_>, BTreeSet<_>) = routed
        .into_iter()
        .filter(|path| !UNDOCUMENTED.contains(&path.as_str()))
        .partition(|path| path.starts_with("/v1/"));
    assert_eq!(canonical, documented);
    let versioned: BTreeSet<_> = versioned
        .iter()
        .map(|path| path["/v1".len()..].to_owned())
        .collect();
    assert_eq!(versioned, documented);
}

/// The paths of the router, from its `Debug` output.
fn routes(gateway: &Gateway) -> BTreeSet<String> {
    let table = format!("{:?}", gateway.router);
    let routes = table.split("fallback_router").next().unwrap();
    let quoted = routes.split('"').filter(|text| text.starts_with('/'));
    quoted.map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn every_documented_method_is_served_and_no_other() {
    let gateway = Gateway::new();
    let document = document(&gateway).await;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            let documented = operations.get(method).is_some();
            let name = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = gateway.request(name, &path.replace("{id}", ADA));
            let answer = gateway.router.clone();
            let answer = tower::ServiceExt::oneshot(answer, request.body(Body::empty()).unwrap());
            let answer = answer.await.unwrap();
            let status = answer.status();
            if status == 404 {
                // A missing service, not a missing route.
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                let problem: Value = serde_json::from_slice(&body).unwrap();
                assert_ne!(problem["code"], "NOT_FOUND", "{method} {path}");
            }
            assert_eq!(status != 405, documented, "{method} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_documented_security_matches_the_served_one() {
    let gateway = Gateway::new();
    let document = document(&gateway).await;
    let mut public = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = Request::builder()
                .method(name)
                .uri(path.replace("{id}", ADA));
            let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
            let security = operation["security"].as_array().unwrap();
            let open = security
                .iter()
                .any(|way| way.as_object().unwrap().is_empty());
            assert_eq!(answer.status != 401, open, "{method} {path}");
            if open {
                public.push(format!("{method} {path}"));
                continue;
            }
            assert!(
                operation["responses"].get("401").is_some(),
                "{method} {path}"
            );
            let cookie = security.iter().any(|way| way.get("cookie").is_some());
            let bearer = security.iter().any(|way| way.get("bearer").is_some());
            assert_eq!(cookie, bearer, "{method} {path}");
        }
    }
    assert_eq!(
        public,
        [
            "get /.well-known/jwks.json",
            "post /auth/email/confirm",
            "post /auth/login",
            "post /auth/password/forgot",
            "post /auth/password/reset",
            "post /auth/refresh",
            "post /auth/register",
            "post /auth/session",
            "delete /auth/session"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn every_operation_has_a_unique_name_and_describes_its_responses() {
    let document = document(&Gateway::new()).await;
    let mut names = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} is not unique");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let description = response["description"].as_str().unwrap_or_default();
                assert!(!description.is_empty(), "{path} {status}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_is_documented_as_a_problem() {
    let document = document(&Gateway::new()).await;
    let mut seen = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                if status.as_str() < "400" {
                    continue;
                }
                let schema = &response["content"]["application/problem+json"]["schema"];
                let place = format!("{method} {path} {status}");
                assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{place}");
                assert!(
                    response["description"].as_str().unwrap().contains('`'),
                    "{place}"
                );
                *seen.entry(status.clone()).or_insert(0) += 1;
            }
        }
    }
    assert!(seen["500"] >= 14 && seen["409"] >= 5, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn too_large_a_body_is_refused_everywhere_and_documented_so() {
    let gateway = Gateway::new();
    let document = document(&gateway).await;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = gateway.request(name, &path.replace("{id}", ADA));
            let request = request.header("content-length", 2 << 20);
            let answer = gateway.send(request.body(Body::empty()).unwrap()).await;
            answer.problem(413, "BODY_TOO_LARGE");
            let documented = operation["responses"].get("413").is_some();
            assert!(documented, "{method} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_document_can_be_browsed() {
    let gateway = Gateway::new();
    let answer = gateway.get("/docs").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "/docs/")
    );
    let answer = gateway.get("/docs/").await;
    assert!(answer.header("content-type").starts_with("text/html"));
    let answer = gateway.get("/docs/swagger-ui-bundle.js").await;
    assert_eq!(answer.status, 200);
}
