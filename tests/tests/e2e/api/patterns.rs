//! The patterns in the document agree with what the services accept.

use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{Client, Team, team::PASSWORD, team::task_ids};

use super::{call, id, start};

const LINES: [&str; 12] = [
    "Autumn",
    " Grüße, 世界 🚢 ",
    "שלום\u{200f}",
    "a\u{200d}b",
    "",
    "  ",
    "\u{200b}\u{ad}",
    "a\nb",
    "a\tb",
    "a\u{202e}b",
    "a\u{2066}b",
    "a\u{9b}b",
];

const TYPES: [&str; 8] = [
    "order-placed",
    "a1",
    "shop.order_placed",
    "Order",
    "a b",
    "a..b",
    "-a",
    "ä",
];

/// The pattern of a field of a schema.
fn field(document: &Value, schema: &str, field: &str) -> Regex {
    let text = document["components"]["schemas"][schema]["properties"][field]["pattern"].as_str();
    Regex::new(text.unwrap_or_else(|| panic!("{schema}.{field} has no pattern")))
        .expect("a pattern")
}

/// The pattern of a parameter; for a list, the pattern of its items.
fn parameter(document: &Value, method: &str, path: &str, name: &str) -> Regex {
    let parameters = document["paths"][path][method]["parameters"].as_array();
    let parameters = parameters.unwrap_or_else(|| panic!("{method} {path}"));
    let schema = parameters.iter().find(|one| one["name"] == name);
    let schema = &schema.unwrap_or_else(|| panic!("{name}"))["schema"];
    let text = schema["pattern"]
        .as_str()
        .or(schema["items"]["pattern"].as_str());
    Regex::new(text.unwrap_or_else(|| panic!("{path} {name}"))).expect("a pattern")
}

/// Asserts that exactly the samples that do not match the pattern are refused. There must be
/// samples of both kinds.
async fn agrees(
    pattern: Regex,
    samples: &[&str],
    ask: impl AsyncFn(&str) -> anyhow::Result<u16>,
) -> anyhow::Result<()> {
    let matching = samples
        .iter()
        .filter(|sample| pattern.is_match(sample))
        .count();
    assert!((1..samples.len()).contains(&matching), "{pattern}");
    for sample in samples {
        let status = ask(sample).await?;
        assert!(status < 500, "{sample:?}: {status}");
        assert_eq!(
            status != 400,
            pattern.is_match(sample),
            "{sample:?}: {status}"
        );
    }
    Ok(())
}

async fn document(client: &Client) -> anyhow::Result<Value> {
    Ok(client.get("/openapi.json").await?.expect(200))
}

#[tokio::test]
async fn of_releases_and_tasks() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let document = document(&team.admin).await?;
    let release = async |body: Value| Ok(team.admin.post("/releases", &body).await?.status);
    let task = async |mut task: Value| {
        if task["assignee"].is_null() {
            task["assignee"] = json!("dev-0");
        }
        release(json!({"name": "R", "tasks": [task]})).await
    };
    agrees(
        field(&document, "NewRelease", "name"),
        &LINES,
        async |text| release(json!({"name": text})).await,
    )
    .await?;
    agrees(
        field(&document, "NewRelease", "version"),
        &LINES,
        async |text| release(json!({"name": "R", "version": text})).await,
    )
    .await?;
    agrees(
        field(&document, "NewRelease", "description"),
        &LINES,
        async |text| release(json!({"name": "R", "description": text})).await,
    )
    .await?;
    agrees(field(&document, "NewTask", "title"), &LINES, async |text| {
        task(json!({"title": text})).await
    })
    .await?;
    agrees(
        field(&document, "NewTask", "description"),
        &LINES,
        async |text| task(json!({"title": "t", "description": text})).await,
    )
    .await?;
    let names = ["dev-0", "DEV-0", "d", "dev 0", "dév-0"];
    agrees(
        field(&document, "NewTask", "assignee"),
        &names,
        async |name| task(json!({"title": "t", "assignee": name})).await,
    )
    .await
}

#[tokio::test]
async fn of_changes_and_pauses() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let document = document(&team.admin).await?;
    let release = team.release("R", &[0]).await?;
    let task = format!("/tasks/{}", task_ids(&release)[0]);
    let (release, pause) = (
        format!("/releases/{}", id(&release)),
        format!("{task}/pause"),
    );
    for (path, schema, name) in [
        (&release, "ReleaseChange", "name"),
        (&release, "ReleaseChange", "version"),
        (&release, "ReleaseChange", "description"),
        (&task, "TaskChange", "title"),
        (&task, "TaskChange", "description"),
        (&pause, "Pause", "reason"),
    ] {
        agrees(field(&document, schema, name), &LINES, async |text| {
            let request = team.admin.request(Method::PATCH, path);
            let request = request.json(&json!({name: text}));
            Ok(team.admin.send(request).await?.status)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn of_comments_and_conversations() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let document = document(&team.admin).await?;
    let release = team.release("R", &[0]).await?;
    let comments = format!("/tasks/{}/comments", task_ids(&release)[0]);
    let developer = &team.developers[0];
    let post = async |path: &str, body: Value| Ok(developer.post(path, &body).await?.status);
    agrees(
        field(&document, "NewComment", "content"),
        &LINES,
        async |text| post(&comments, json!({"content": text})).await,
    )
    .await?;
    let session = developer
        .post("/chat/session", &json!({}))
        .await?
        .expect(201);
    let session = format!("/chat/{}", id(&session));
    agrees(
        field(&document, "SessionTitle", "title"),
        &LINES,
        async |text| {
            let request = developer.request(Method::PATCH, &session);
            let request = request.json(&json!({"title": text}));
            Ok(developer.send(request).await?.status)
        },
    )
    .await?;
    let message = format!("{session}/message");
    agrees(field(&document, "Said", "message"), &LINES, async |text| {
        post(&message, json!({"message": text})).await
    })
    .await
}

#[tokio::test]
async fn of_names_keys_times_and_types() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let document = document(&team.admin).await?;
    let names = [
        "ada",
        "A.d_a-1",
        "ad",
        "a da",
        "ädä",
        &"a".repeat(40),
        &"a".repeat(41),
    ];
    agrees(
        field(&document, "Registration", "username"),
        &names,
        async |name| {
            let email = format!(
                "a{}@example.com",
                names.iter().position(|one| *one == name).unwrap_or(0)
            );
            let body = json!({"username": name, "email": email, "password": PASSWORD});
            Ok(server.client().post("/auth/register", &body).await?.status)
        },
    )
    .await?;
    let key = parameter(&document, "post", "/releases", "Idempotency-Key");
    agrees(key, &["a", "!~", "a b", ""], async |key| {
        let request = team.admin.request(Method::POST, "/releases");
        let request = request
            .json(&json!({"name": "R"}))
            .header("idempotency-key", key);
        Ok(team.admin.send(request).await?.status)
    })
    .await?;
    let times = [
        "00:00", "23:59", "24:00", "7:00", "12:60", "07:00:00", "noon", "",
    ];
    for end in ["start", "end"] {
        agrees(field(&document, "QuietHours", end), &times, async |time| {
            let mut hours = json!({"enabled": true, "start": "12:01", "end": "12:02"});
            hours[end] = json!(time);
            let request = team.admin.request(Method::PUT, "/preferences");
            let request = request.json(&json!({"quietHours": hours}));
            Ok(team.admin.send(request).await?.status)
        })
        .await?;
    }
    let types = [
        "task.started",
        "task.*",
        "task.ready,chat.*",
        "task",
        "task.",
        "*",
        "Task.*",
        "task.ready,",
        "task.ready.twice",
    ];
    agrees(
        parameter(&document, "get", "/activity", "type"),
        &types,
        async |types| {
            let path = format!("/activity?type={types}");
            Ok(call(&team.admin, Method::GET, &path).await?.status)
        },
    )
    .await?;
    let kind = parameter(&document, "put", "/admin/templates/{type}", "type");
    agrees(kind, &TYPES, async |kind| save(&team, kind).await).await
}

/// Saves templates of a type.
async fn save(team: &Team, kind: &str) -> anyhow::Result<u16> {
    let body =
        json!({"subject": "{{ a }}", "text": "{{ a }}", "html": "{{ a }}", "sample": {"a": "b"}});
    let path = format!("/admin/templates/{}", kind.replace(' ', "%20"));
    let request = team.admin.request(Method::PUT, &path).json(&body);
    Ok(team.admin.send(request).await?.status)
}
