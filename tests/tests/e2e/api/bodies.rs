//! Invalid bodies, on every route that takes one.

use reqwest::{Body, Method};
use serde_json::{Value, json};
use slipway_tests::Client;

use super::{
    invalid,
    routes::{Taking, routes_with_a_body},
    start, unauthorized,
};

/// One mebibyte: the maximum size of a body.
const MIB: usize = 1 << 20;

async fn refuses_bytes(
    client: &Client,
    route: &Taking,
    body: impl Into<Body>,
    status: u16,
    code: &str,
) -> anyhow::Result<()> {
    let answer = route.send_text(client, body).await?;
    answer.refused(status, code);
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for route in routes_with_a_body(&team.admin).await? {
        let (good, field) = (route.good.to_string(), &route.field);
        let twice = format!("{good}{good}");
        let with_bom = format!("\u{feff}{good}");
        let lone_surrogate = format!("{{\"{field}\": \"\\ud800\"}}");
        let not_utf8 = [b"{\"", field.as_bytes(), b"\": \"\xff\"}"].concat();
        let raw_newline = format!("{{\"{field}\": \"a\nb\"}}");
        let bodies: [&[u8]; 13] = [
            b"",
            b"   ",
            b"{",
            b"null",
            b"[]",
            b"\"text\"",
            b"name=a",
            &not_utf8,
            &good.as_bytes()[..good.len() - 1],
            twice.as_bytes(),
            with_bom.as_bytes(),
            lone_surrogate.as_bytes(),
            raw_newline.as_bytes(),
        ];
        for body in bodies {
            refuses_bytes(&team.admin, &route, body.to_vec(), 400, "MALFORMED_BODY").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_deeply_nested_body_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for route in routes_with_a_body(&team.admin).await? {
        let field = &route.field;
        let objects = "{\"a\":";
        for nested in ["[", objects] {
            if nested == objects && route.value().is_object() {
                // It would be a field within the field.
                continue;
            }
            // As deep as the size limit of the body allows.
            let depth = if route.path.starts_with("/auth/") {
                2_000
            } else {
                100_000
            };
            let nested = nested.repeat(depth);
            let body = format!("{{\"{field}\": {nested}");
            invalid(route.send_text(&team.admin, body).await?, field);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused_with_and_without_a_length() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for route in routes_with_a_body(&team.admin).await? {
        let large = format!("{}{}", route.good, " ".repeat(2 * MIB));
        let pieces = large.as_bytes().chunks(64 << 10).map(<[u8]>::to_vec);
        let pieces: Vec<_> = pieces.map(Ok::<_, std::io::Error>).collect();
        let unannounced = Body::wrap_stream(futures::stream::iter(pieces));
        refuses_bytes(&team.admin, &route, unannounced, 413, "BODY_TOO_LARGE").await?;
        refuses_bytes(&team.admin, &route, large, 413, "BODY_TOO_LARGE").await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_is_received() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let nobody = server.client();
    for size in [MIB, 10 * MIB] {
        let body = || "x".repeat(size);
        for (method, path, status) in [
            (Method::POST, "/nowhere", 404),
            (Method::PUT, "/releases", 405),
            (Method::POST, "/releases", 415),
        ] {
            let request = team.admin.request(method, path).body(body());
            let expected = if size > MIB { 413 } else { status };
            assert_eq!(team.admin.send(request).await?.status, expected, "{path}");
        }
        let answer = nobody.post_text("/releases", body()).await?;
        if size > MIB {
            answer.refused(413, "BODY_TOO_LARGE");
        } else {
            unauthorized(answer, "UNAUTHENTICATED");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_read() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for (size, status) in [(MIB, 201), (MIB + 1, 413)] {
        let mut body = json!({"name": "a"}).to_string();
        body.push_str(&" ".repeat(size - body.len()));
        let answer = team.admin.post_text("/releases", body).await?;
        assert_eq!(answer.status, status, "{size}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_without_the_json_content_type_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for route in routes_with_a_body(&team.admin).await? {
        for content_type in [
            None,
            Some(""),
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/jsonp"),
            Some("text/json, application/json"),
        ] {
            let mut request = team.admin.request(route.method.clone(), &route.path);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let answer = team
                .admin
                .send(request.body(route.good.to_string()))
                .await?;
            answer.refused(415, "UNSUPPORTED_MEDIA_TYPE");
        }
    }
    let request = team.admin.request(Method::POST, "/releases");
    let request = request.header("content-type", "Application/JSON; charset=utf-8");
    let answer = team.admin.send(request.body(r#"{"name": "a"}"#)).await?;
    assert_eq!(answer.status, 201);
    Ok(())
}

#[tokio::test]
async fn an_unknown_field_is_refused_by_name() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for route in routes_with_a_body(&team.admin).await? {
        let mut body = route.good.clone();
        body["colour"] = json!({"red": 1});
        invalid(route.send(&team.admin, &body).await?, "colour");
    }
    let task = json!({"title": "t", "assignee": "dev-0", "status": "COMPLETED"});
    let body = json!({"name": "a", "tasks": [{"title": "t", "assignee": "dev-0"}, task]});
    let answer = team.admin.post("/releases", &body).await?;
    invalid(answer, "tasks[1].status");
    Ok(())
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_refused_by_name() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for route in routes_with_a_body(&team.admin).await? {
        for wrong in route.wrong() {
            let mut body = route.good.clone();
            body[&route.field] = wrong;
            invalid(route.send(&team.admin, &body).await?, &route.field);
        }
    }
    let task = |name: &str, value: Value| {
        let mut task = json!({"title": "t", "assignee": "dev-0"});
        task[name] = value;
        json!({"name": "a", "tasks": [task]})
    };
    for (body, field) in [
        (json!({"name": "a", "tasks": {}}), "tasks"),
        (json!({"name": "a", "tasks": "none"}), "tasks"),
        (json!({"name": "a", "tasks": [null]}), "tasks[0]"),
        (json!({"name": "a", "version": 1.31}), "version"),
        (json!({"name": "a", "description": []}), "description"),
        (task("assigneeId", json!("7")), "tasks[0].assigneeId"),
        (task("orderIndex", json!(1.5)), "tasks[0].orderIndex"),
        (task("orderIndex", json!("1")), "tasks[0].orderIndex"),
    ] {
        invalid(team.admin.post("/releases", &body).await?, field);
    }
    for wrong in [
        json!(1_780_000_000),
        json!("2026-12-01"),
        json!("2026-12-01T17:00:00"),
        json!("tomorrow"),
        json!(""),
        json!({}),
    ] {
        let answer = team.admin.post("/releases", &task("dueAt", wrong)).await?;
        let message = invalid(answer, "tasks[0].dueAt");
        assert_eq!(
            message,
            "must be a date with a time and an offset (RFC 3339), such as 2026-12-01T17:00:00Z"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_or_repeated_field_is_refused_by_name() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for route in routes_with_a_body(&team.admin).await? {
        let field = &route.field;
        let mut body = route.good.clone();
        body[field] = route.value();
        let first = format!("{{\"{field}\":{},", body[field]);
        let twice = body.to_string().replacen('{', &first, 1);
        let message = invalid(route.send_text(&team.admin, twice).await?, field);
        assert_eq!(message, "is given more than once");
        if route.required {
            body.as_object_mut().expect("an object").remove(field);
            let message = invalid(route.send(&team.admin, &body).await?, field);
            assert_eq!(message, "is required");
        }
    }
    Ok(())
}
