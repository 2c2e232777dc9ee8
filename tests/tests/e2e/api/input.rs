//! Bad input, on every route that takes any: bodies, ids, queries, idempotency keys.

use reqwest::{Body, Method};
use serde_json::{Value, json};
use slipway_tests::Client;

use super::{LISTS, UNKNOWN, call, invalid, routes_with_a_body, start};

/// One mebibyte: what a body may have at most.
const MIB: usize = 1 << 20;

async fn refuses_bytes(
    client: &Client,
    path: &str,
    body: impl Into<Body>,
    status: u16,
    code: &str,
) -> anyhow::Result<()> {
    let request = client.request(Method::POST, path);
    let request = request.header("content-type", "application/json");
    client.send(request.body(body)).await?.refused(status, code);
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for (path, good, field) in routes_with_a_body() {
        let good = good.to_string();
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
            good[..good.len() - 1].as_bytes(),
            twice.as_bytes(),
            with_bom.as_bytes(),
            lone_surrogate.as_bytes(),
            raw_newline.as_bytes(),
        ];
        for body in bodies {
            refuses_bytes(&team.admin, path, body.to_vec(), 400, "MALFORMED_BODY").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_body_however_deep_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for (path, _, field) in routes_with_a_body() {
        for nested in ["[", "{\"a\":"] {
            let nested = nested.repeat(100_000);
            let body = format!("{{\"{field}\": {nested}");
            invalid(team.admin.post_text(path, body).await?, field);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused_whether_or_not_it_says_so() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for (path, good, _) in routes_with_a_body() {
        let large = format!("{}{}", good, " ".repeat(2 * MIB));
        let pieces = large.as_bytes().chunks(64 << 10).map(<[u8]>::to_vec);
        let pieces: Vec<_> = pieces.map(Ok::<_, std::io::Error>).collect();
        let unannounced = Body::wrap_stream(futures::stream::iter(pieces));
        refuses_bytes(&team.admin, path, unannounced, 413, "BODY_TOO_LARGE").await?;
        refuses_bytes(&team.admin, path, large, 413, "BODY_TOO_LARGE").await?;
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
async fn a_body_that_does_not_call_itself_json_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for (path, good, _) in routes_with_a_body() {
        for content_type in [
            None,
            Some(""),
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/jsonp"),
            Some("text/json, application/json"),
        ] {
            let mut request = team.admin.request(Method::POST, path);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let answer = team.admin.send(request.body(good.to_string())).await?;
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
    for (path, good, _) in routes_with_a_body() {
        let mut body = good.clone();
        body["colour"] = json!({"red": 1});
        invalid(team.admin.post(path, &body).await?, "colour");
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
    for (path, good, field) in routes_with_a_body() {
        for wrong in [json!(7), json!(true), json!(["a"]), json!({}), Value::Null] {
            let mut body = good.clone();
            body[field] = wrong;
            invalid(team.admin.post(path, &body).await?, field);
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
        (task("dueAt", json!(1_780_000_000)), "tasks[0].dueAt"),
    ] {
        invalid(team.admin.post("/releases", &body).await?, field);
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_or_repeated_field_is_refused_by_name() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for (path, good, field) in routes_with_a_body() {
        let mut body = good.clone();
        body.as_object_mut().expect("an object").remove(field);
        let message = invalid(team.admin.post(path, &body).await?, field);
        assert_eq!(message, "is required");
        let twice = good
            .to_string()
            .replacen('{', &format!("{{\"{field}\":\"a\","), 1);
        let message = invalid(team.admin.post_text(path, twice).await?, field);
        assert_eq!(message, "is given more than once");
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_id_is_refused_and_an_unknown_one_not_found() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let simple = UNKNOWN.replace('-', "");
    let braced = format!("%7B{}%7D", &UNKNOWN[1..35]);
    for (method, before, after, code) in [
        (Method::GET, "/releases", "", "RELEASE_NOT_FOUND"),
        (Method::PATCH, "/releases", "/complete", "RELEASE_NOT_FOUND"),
        (Method::GET, "/tasks", "", "TASK_NOT_FOUND"),
        (Method::PATCH, "/tasks", "/start", "TASK_NOT_FOUND"),
        (Method::PATCH, "/tasks", "/complete", "TASK_NOT_FOUND"),
    ] {
        for id in ["7", "%00", "%FF", "%F0%9F%9A%80", "-1", &simple, &braced] {
            let path = format!("{before}/{id}{after}");
            invalid(call(&team.admin, method.clone(), &path).await?, "id");
        }
        let path = format!("{before}/{UNKNOWN}{after}");
        let answer = call(&team.admin, method, &path).await?;
        answer.refused(404, code);
    }
    let task = json!({"title": "t", "assignee": "admin"});
    let answer = team.admin.post("/releases/7/tasks", &task).await?;
    invalid(answer, "id");
    Ok(())
}

#[tokio::test]
async fn an_unknown_or_repeated_parameter_is_refused_by_name() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for list in LISTS.into_iter().chain(["/activity/stream?"]) {
        for (query, field) in [("colour=red", "colour"), ("Limit=1", "Limit")] {
            invalid(team.admin.get(&format!("{list}&{query}")).await?, field);
        }
    }
    for list in LISTS {
        let path = format!("{list}&limit=1&limit=2");
        invalid(team.admin.get(&path).await?, "limit");
    }
    Ok(())
}

#[tokio::test]
async fn a_parameter_with_a_value_there_is_not_is_refused_by_name() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for (path, field) in [
        ("/releases?status=open", "status"),
        ("/releases?status=", "status"),
        ("/releases?status=OPEN&status=OPEN", "status"),
        ("/tasks/my?status=DONE", "status"),
        ("/activity?order=up", "order"),
        ("/activity?after=-1", "after"),
        ("/activity?after=9223372036854775808", "after"),
        ("/activity?before=0", "before"),
        ("/activity?before=1.5", "before"),
        ("/activity?releaseId=7", "releaseId"),
        ("/activity?mine=yes", "mine"),
        ("/activity/stream?after=x", "after"),
        ("/activity/stream?releaseId=7", "releaseId"),
        ("/activity/stream?mine=1", "mine"),
        ("/activity/stream?limit=5", "limit"),
    ] {
        invalid(team.admin.get(path).await?, field);
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_type_of_activity_is_refused_by_list_and_stream_alike() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let many = vec!["task.started"; 21].join(",");
    for bad in [
        "",
        "task",
        "*",
        "task.",
        ".started",
        "task.*.x",
        "task.started.twice",
        "Task.started",
        "task.started,",
        "1.x",
        &many,
    ] {
        for path in ["/activity", "/activity/stream"] {
            let answer = team.admin.get(&format!("{path}?type={bad}")).await?;
            invalid(answer, "type");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_idempotency_key_is_refused_on_every_post() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let long = "k".repeat(256);
    for (path, good, _) in routes_with_a_body() {
        for key in ["", "two words", "schl\u{fc}ssel", &long] {
            let request = team.admin.request(Method::POST, path).json(&good);
            let request = request.header("idempotency-key", key);
            invalid(team.admin.send(request).await?, "Idempotency-Key");
        }
    }
    Ok(())
}
