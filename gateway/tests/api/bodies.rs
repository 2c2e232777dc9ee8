//! Tests of request bodies: authentication before reading, size limits, and invalid content.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Method, Request};
use http_body::{Frame, SizeHint};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{ADA, Answer, Gateway, TASK, operations};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A body that announces its length and never arrives.
struct Announced(usize);

impl http_body::Body for Announced {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0 as u64)
    }
}

/// A body that starts with this many bytes, and never ends.
fn endless(bytes: usize) -> Body {
    let first = Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]));
    let rest = stream::pending();
    Body::from_stream(stream::StreamExt::chain(stream::iter([first]), rest))
}

fn json_request(method: Method, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
}

#[tokio::test(start_paused = true)]
async fn without_a_token_the_body_of_a_protected_route_is_not_waited_for() {
    let gateway = Gateway::new();
    let mut protected = 0;
    for (method, path, operation) in operations(&gateway).await {
        let security = operation["security"].as_array().unwrap();
        if security.iter().any(|way| way == &json!({})) {
            continue;
        }
        for prefix in ["", "/v1"] {
            let started = Instant::now();
            let path = format!("{prefix}{}", path.replace("{id}", ADA));
            for authorization in [None, Some("Bearer x.y.z")] {
                let mut request = json_request(method.clone(), &path);
                if let Some(authorization) = authorization {
                    request = request.header("authorization", authorization);
                }
                let request = request.body(Body::new(Announced(KIB))).unwrap();
                let answer = gateway.send(request).await;
                assert_eq!(answer.status, 401, "{method} {path}");
            }
            assert!(started.elapsed().is_zero(), "{method} {path}");
        }
        protected += usize::from(operation["requestBody"].is_object());
    }
    assert!(protected >= 14, "{protected}");
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_takes_no_body_refuses_one() {
    let gateway = Gateway::new();
    let mut refusing = 0;
    for (method, path, operation) in operations(&gateway).await {
        if operation["requestBody"].is_object() {
            continue;
        }
        for path in [path.clone(), format!("/v1{path}")] {
            let path = path.replace("{id}", ADA);
            for body in ["nonsense", "[]", "null", r#"{"status": "COMPLETED"}"#] {
                let request = gateway.request(method.clone(), &path);
                let answer = gateway.send(request.body(body.into()).unwrap()).await;
                let problem = answer.problem(400, "INVALID_ARGUMENT");
                let detail = "body must be empty or {}: this operation takes none.";
                assert_eq!(problem["detail"], detail, "{method} {path}");
                assert_eq!(problem["errors"][0]["field"], "body");
            }
        }
        refusing += 1;
    }
    assert!(refusing > 20, "{refusing}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_or_object_counts_as_none() {
    let gateway = Gateway::new();
    let pieces = |texts: &'static [&str]| {
        let texts = texts
            .iter()
            .map(|text| Ok::<_, std::io::Error>(Bytes::from(*text)));
        Body::from_stream(stream::iter(texts))
    };
    for body in [
        Body::empty(),
        "{}".into(),
        " { }\r\n".into(),
        pieces(&[]),
        pieces(&[""]),
        pieces(&["{", "}"]),
    ] {
        let request = gateway
            .request(Method::PATCH, &format!("/tasks/{TASK}/start"))
            .header("content-type", "application/json");
        let answer = gateway.send(request.body(body).unwrap()).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }
    let late = gateway.request(Method::GET, &format!("/tasks/{TASK}"));
    let answer = gateway.send(late.body(endless(1)).unwrap()).await;
    answer.problem(408, "BODY_TOO_SLOW");
    let large = gateway.request(Method::DELETE, &format!("/comments/{ADA}"));
    let answer = gateway.send(large.body(endless(MIB + 1)).unwrap()).await;
    answer.problem(413, "BODY_TOO_LARGE");
}

#[tokio::test(start_paused = true)]
async fn bodies_of_auth_routes_have_16_kib_at_most() {
    let gateway = Gateway::new();
    let document = gateway.get("/openapi.json").await.json();
    for path in ["/auth/login", "/auth/register"] {
        let described = &document["paths"][path]["post"]["responses"]["413"]["description"];
        assert!(
            described.as_str().unwrap().contains("16 KiB"),
            "{described}"
        );
        for path in [path.to_owned(), format!("/v1{path}")] {
            for body in [Body::new(Announced(16 * KIB + 1)), endless(16 * KIB + 1)] {
                let request = json_request(Method::POST, &path).body(body).unwrap();
                let started = Instant::now();
                let answer = gateway.send(request).await;
                let problem = answer.problem(413, "BODY_TOO_LARGE");
                assert!(problem["detail"].as_str().unwrap().contains("16 KiB"));
                assert!(started.elapsed().is_zero());
            }
        }
    }
    let padded = |json: &str, size: usize| format!("{json}{}", " ".repeat(size - json.len()));
    let body = padded(r#"{"username": "ada", "password": "x"}"#, 16 * KIB);
    let request = json_request(Method::POST, "/auth/login").body(body.into());
    assert_eq!(gateway.send(request.unwrap()).await.status, 200);
    let body = padded(r#"{"name": "a"}"#, MIB);
    assert_eq!(gateway.post("/releases", body).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_compressed_body_is_refused_as_such() {
    let gateway = Gateway::new();
    let send = async |codings: &[&str]| {
        let mut request = gateway
            .request(Method::POST, "/releases")
            .header("content-type", "application/json");
        for coding in codings {
            request = request.header("content-encoding", *coding);
        }
        let request = request.body(r#"{"name": "a"}"#.into()).unwrap();
        gateway.send(request).await
    };
    for codings in [
        &["gzip"][..],
        &["br"],
        &["identity, gzip"],
        &["identity", "deflate"],
        &["GZIP"],
        &["unknown"],
    ] {
        let answer = send(codings).await;
        answer.problem(415, "UNSUPPORTED_CONTENT_CODING");
        assert_eq!(answer.header("accept-encoding"), "identity");
    }
    for codings in [&["identity"][..], &["Identity"], &[""]] {
        assert_eq!(send(codings).await.status, 201, "{codings:?}");
    }
    // The start of gzip and zstd data, without a `Content-Encoding`.
    for compressed in [&b"\x1f\x8b\x08\0\0\0\0\0"[..], b"\x28\xb5\x2f\xfd\x24\x0d"] {
        let answer = gateway.post("/releases", compressed).await;
        let problem = answer.problem(415, "UNSUPPORTED_CONTENT_CODING");
        assert_eq!(answer.header("accept-encoding"), "identity");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("identity"), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_name_is_refused_at_any_depth() {
    let gateway = Gateway::new();
    for (path, body, field) in [
        ("/releases", r#"{"name": "a", "name": "b"}"#, "name"),
        ("/events/order", r#"{"data": {"a": 1, "a": 2}}"#, "data.a"),
        (
            "/events/order",
            r#"{"data": {"a": [{"b": {"c": 1, "c": 1}}]}}"#,
            "data.a[0].b.c",
        ),
        (
            "/admin/templates/order/preview",
            r#"{"draft": {"subject": "", "text": "", "html": "", "sample": {"a": 1, "a": 2}}}"#,
            "draft.sample.a",
        ),
        (
            &format!("/admin/dead-letters/{ADA}/replay"),
            r#"{"payload": {"a": {"b": 1, "b": 2}}}"#,
            "payload.a.b",
        ),
    ] {
        gateway.post(path, body).await.invalid(field);
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_is_a_name() {
    let gateway = Gateway::new();
    for role in [
        json!({"ADMIN": null}),
        json!(["ADMIN"]),
        json!(2),
        json!({}),
    ] {
        let body = json!({"username": "eve", "email": "e@example.org", "password": "12345678",
            "role": role});
        let answer = gateway.post("/auth/register", body.to_string()).await;
        answer.invalid("role");
        let message = &answer.json()["errors"][0]["message"];
        assert_eq!(message, "must be DEVELOPER or ADMIN");
    }
}

/// A schema with its references resolved, and whether it allows `null`.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> (&'a Value, bool) {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        return resolved(document, document.pointer(pointer).unwrap());
    }
    if let Some(either) = schema["oneOf"].as_array() {
        let null = |of: &&Value| of["type"] == "null";
        let other = either.iter().find(|of| !null(of)).unwrap();
        let nullable = either.iter().any(|of| null(&of));
        return (resolved(document, other).0, nullable);
    }
    let types = schema["type"].as_array();
    (
        schema,
        types.is_some_and(|types| types.contains(&json!("null"))),
    )
}

fn is(schema: &Value, name: &str) -> bool {
    schema["type"] == name
        || schema["type"]
            .as_array()
            .is_some_and(|all| all.contains(&json!(name)))
}

/// A minimal value of the schema.
fn least(document: &Value, schema: &Value) -> Value {
    let (schema, _) = resolved(document, schema);
    if let Some(names) = schema["enum"].as_array() {
        return names[0].clone();
    }
    match schema["format"].as_str() {
        Some("uuid") => return json!(ADA),
        Some("date-time") => return json!("2026-03-01T10:00:00Z"),
        _ => {}
    }
    if is(schema, "object") {
        let required = schema["required"].as_array().into_iter().flatten();
        return required
            .map(|name| name.as_str().unwrap())
            .map(|name| {
                (
                    name.to_owned(),
                    least(document, &schema["properties"][name]),
                )
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    if is(schema, "array") {
        return json!([]);
    }
    if is(schema, "string") {
        return json!("abc");
    }
    if is(schema, "boolean") {
        return json!(true);
    }
    json!(1)
}

/// A field of a body, by its path of names and indexes.
struct Field {
    steps: Vec<String>,
    nullable: bool,
}

/// All fields of the bodies of a schema, at any depth; `0` is the first of a list.
fn fields(document: &Value, schema: &Value) -> Vec<Field> {
    let (schema, _) = resolved(document, schema);
    if is(schema, "array") {
        let below = fields(document, &schema["items"]).into_iter();
        return below.map(|field| field.under("0")).collect();
    }
    let mut found = Vec::new();
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        let (_, nullable) = resolved(document, of);
        let below = fields(document, of).into_iter();
        found.extend(below.map(|field| field.under(name)));
        found.push(Field {
            steps: vec![name.clone()],
            nullable,
        });
    }
    found
}

impl Field {
    fn under(mut self, step: &str) -> Self {
        self.steps.insert(0, step.to_owned());
        self
    }

    /// The path as problems write it.
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step.as_str() {
                "0" => path.push_str("[0]"),
                name if path.is_empty() => path.push_str(name),
                name => path.extend([".", name]),
            }
        }
        path
    }
}

/// A minimal body with the path to a field, and with this value there, or without the field.
fn body(document: &Value, schema: &Value, steps: &[String], value: Option<&Value>) -> Value {
    let (schema, _) = resolved(document, schema);
    let (step, below) = steps.split_first().unwrap();
    if step == "0" {
        return json!([body(document, &schema["items"], below, value)]);
    }
    let mut whole = least(document, schema);
    let inner = match below {
        [] => value.cloned(),
        _ => Some(body(document, &schema["properties"][step], below, value)),
    };
    match inner {
        Some(inner) => whole[step] = inner,
        None => drop(whole.as_object_mut().unwrap().remove(step)),
    }
    whole
}

#[tokio::test(start_paused = true)]
async fn null_is_accepted_only_where_the_document_allows_it() {
    let gateway = Gateway::new();
    let document = gateway.get("/openapi.json").await.json();
    let ask = async |method: &Method, path: &str, body: Value| -> Answer {
        let mut address = path.to_owned();
        for name in ["{id}", "{sessionId}", "{type}", "{eventType}"] {
            address = address.replace(name, ADA);
        }
        let token = match path.starts_with("/hooks/") {
            true => "a secret of webhooks".to_owned(),
            false => gateway.token(),
        };
        let request = json_request(method.clone(), &address)
            .header("authorization", format!("Bearer {token}"));
        gateway
            .send(request.body(body.to_string().into()).unwrap())
            .await
    };
    let mut seen = (0, 0);
    for (method, path, operation) in operations(&gateway).await {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        assert!(
            !resolved(&document, schema).1,
            "{path}: a body is never null"
        );
        ask(&method, &path, Value::Null)
            .await
            .problem(400, "MALFORMED_BODY");
        for field in fields(&document, schema) {
            let place = format!("{method} {path} {}", field.path());
            let null = body(&document, schema, &field.steps, Some(&Value::Null));
            let absent = body(&document, schema, &field.steps, None);
            let with_null = ask(&method, &path, null).await;
            let without = ask(&method, &path, absent).await;
            if field.nullable {
                assert_eq!(with_null.status, without.status, "{place}");
                if with_null.status == 400 {
                    let errors = |answer: &Answer| answer.json()["errors"].clone();
                    assert_eq!(errors(&with_null), errors(&without), "{place}");
                }
                seen.0 += 1;
            } else {
                assert_eq!(with_null.status, 400, "{place}");
                let error = &with_null.json()["errors"][0];
                assert_eq!(error["field"], field.path(), "{place}");
                assert_ne!(error["message"], "is required", "{place}");
                seen.1 += 1;
            }
        }
    }
    assert!(seen.0 >= 15 && seen.1 >= 30, "{seen:?}");
}
