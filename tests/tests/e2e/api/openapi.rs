//! Checks the document at /openapi.json: every operation in it exists and requires the documented
//! credentials. Also the other public routes: /docs and the keys.

use std::collections::BTreeSet;

use anyhow::Context as _;
use reqwest::Method;
use serde_json::Value;
use slipway_tests::{Options, Process};

use super::{call, routes::paths, start, unauthorized};

/// Whether an operation may be called without a token.
fn is_public(operation: &Value) -> bool {
    let ways = operation["security"].as_array();
    ways.is_none_or(|ways| {
        ways.iter()
            .any(|way| way.as_object().is_some_and(serde_json::Map::is_empty))
    })
}

/// The code of the answer to an invalid token.
fn wrong(operation: &Value) -> &'static str {
    match operation["security"][0].get("webhook") {
        // A shared secret is not a token that can be invalid.
        Some(_) => "UNAUTHENTICATED",
        None => "INVALID_TOKEN",
    }
}

#[tokio::test]
async fn every_operation_requires_a_token_unless_it_is_public() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_WEBHOOK_SECRET", "a-secret-of-the-operators-own");
    let server = Process::start_with(&options).await?;
    let nobody = server.client();
    let mut public = BTreeSet::new();
    for (path, operations) in paths(&nobody).await? {
        for (method, operation) in operations {
            for prefix in ["", "/v1"] {
                let path = format!("{prefix}{path}");
                let answer = call(&nobody, method.clone(), &path).await?;
                if is_public(&operation) {
                    assert_ne!(answer.status, 401, "{method} {path}");
                } else {
                    assert!(operation["responses"]["401"].is_object(), "{method} {path}");
                    unauthorized(answer, "UNAUTHENTICATED");
                    let garbage = nobody.with_token("garbage");
                    let answer = call(&garbage, method.clone(), &path).await?;
                    unauthorized(answer, wrong(&operation));
                }
            }
            if is_public(&operation) {
                public.insert(path.clone());
            }
        }
    }
    let expected = ["/.well-known/jwks.json", "/auth/login", "/auth/register"];
    assert!(
        public.is_superset(&expected.map(str::to_owned).into()),
        "{public:?}"
    );
    for path in public {
        let protected = ["/releases", "/tasks", "/activity", "/users", "/auth/me"];
        assert!(!protected.iter().any(|p| path.starts_with(p)), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn every_operation_answers_with_a_status_it_documents() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let mut admin = server.admin().await?;
    for (path, operations) in paths(&server.client()).await? {
        for (method, operation) in operations {
            // A stream does not end: its headers are enough.
            let request = admin.request(method.clone(), &path);
            let status = request.send().await?.status().as_u16().to_string();
            let documented = operation["responses"].as_object().context("responses")?;
            assert!(
                documented.contains_key(&status),
                "{method} {path}: {status}"
            );
            assert!(status.as_str() < "500", "{method} {path}: {status}");
            let signs_out = path.starts_with("/auth/") && status == "204";
            if signs_out {
                admin = server.admin().await?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_path_lists_its_methods() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    for (path, operations) in paths(&server.client()).await? {
        let mut takes: BTreeSet<_> = operations.iter().map(|o| o.0.to_string()).collect();
        if takes.contains("GET") {
            takes.insert("HEAD".to_owned());
        }
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
            if takes.contains(method) {
                continue;
            }
            for prefix in ["", "/v1"] {
                let path = format!("{prefix}{path}");
                let answer = call(&team.admin, method.parse()?, &path).await?;
                let allow = answer
                    .header("allow")
                    .split(',')
                    .map(|m| m.trim().to_owned());
                assert_eq!(allow.collect::<BTreeSet<_>>(), takes, "{method} {path}");
                answer.refused(405, "METHOD_NOT_ALLOWED");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_get_has_a_head() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    for (path, operations) in paths(&server.client()).await? {
        let gets = operations.iter().any(|(method, _)| method == Method::GET);
        if !gets || path.ends_with("/stream") {
            continue;
        }
        let got = team.admin.get(&path).await?;
        let head = call(&team.admin, Method::HEAD, &path).await?;
        assert_eq!(
            (head.status, head.body),
            (got.status, Value::Null),
            "{path}"
        );
        assert_eq!(
            head.headers.get("content-type"),
            got.headers.get("content-type")
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_the_page_shows_it() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let client = server.client();
    let answer = client.get("/openapi.json").await?;
    assert_eq!(answer.header("content-type"), "application/json");
    let version = answer.body["openapi"].as_str().unwrap_or_default();
    assert!(version.starts_with("3.1."), "{version}");
    for path in ["/docs", "/docs/"] {
        let page = client.get(path).await?;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.text.contains("swagger-ui"), "{}", page.text);
        assert!(!page.header("x-request-id").is_empty());
    }
    let script = client.get("/docs/swagger-ui-bundle.js").await?;
    assert_eq!(script.status, 200);
    let set_up = client.get("/docs/swagger-initializer.js").await?;
    assert!(set_up.text.contains("/openapi.json"), "{}", set_up.text);
    let kept = "\"persistAuthorization\": true";
    assert!(set_up.text.contains(kept), "{}", set_up.text);
    Ok(())
}

#[tokio::test]
async fn the_keys_are_published_without_their_private_part() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let answer = server.client().get("/.well-known/jwks.json").await?;
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(
        answer
            .header("cache-control")
            .starts_with("public, max-age=")
    );
    let jwks = answer.expect(200);
    let keys = jwks["keys"].as_array().context("keys")?;
    assert_eq!(keys.len(), 1);
    let key = keys[0].as_object().context("an object")?;
    for (name, value) in [
        ("kty", "OKP"),
        ("crv", "Ed25519"),
        ("use", "sig"),
        ("alg", "EdDSA"),
    ] {
        assert_eq!(key[name], value);
    }
    assert_eq!(
        key["kid"].as_str().map(str::len),
        Some(43),
        "a SHA-256 thumbprint"
    );
    assert!(!key.contains_key("d"));
    let admin = server.admin().await?;
    let header = jsonwebtoken::decode_header(admin.token())?;
    assert_eq!(header.kid.as_deref(), key["kid"].as_str());
    Ok(())
}
