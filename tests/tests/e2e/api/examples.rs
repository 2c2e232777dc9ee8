//! The examples in the document at /openapi.json: "Try it out" at `/docs` sends them unchanged, and
//! they must be accepted.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Map, Value};
use slipway_tests::{Client, Options, Process};

use super::routes::{document, fill, operations};

const SECRET: &str = "a-secret-of-the-operators-own";

/// Every operation with a body, in an order in which each finds what it needs, with the status of
/// its answer.
const ORDER: [(&str, &str, u16); 29] = [
    ("POST", "/auth/register", 201),
    ("POST", "/auth/login", 200),
    ("POST", "/auth/session", 200),
    // It is of no session.
    ("POST", "/auth/refresh", 401),
    // The current password is another one.
    ("POST", "/auth/password", 403),
    // There is no such account.
    ("POST", "/auth/password/forgot", 202),
    // It is of no link.
    ("POST", "/auth/password/reset", 403),
    ("POST", "/auth/tokens", 201),
    ("POST", "/admin/users", 201),
    ("PATCH", "/admin/users/{id}", 200),
    ("POST", "/releases", 201),
    ("POST", "/releases/{id}/tasks", 201),
    ("PATCH", "/releases/{id}", 200),
    ("PATCH", "/tasks/{id}", 200),
    // It is not started.
    ("PATCH", "/tasks/{id}/pause", 409),
    ("POST", "/tasks/{id}/comments", 201),
    ("POST", "/comments/{id}/reply", 201),
    ("PATCH", "/comments/{id}", 200),
    ("POST", "/chat/session", 201),
    ("PATCH", "/chat/{sessionId}", 200),
    ("POST", "/chat/{sessionId}/message", 200),
    ("PUT", "/preferences", 200),
    ("PUT", "/admin/templates/{type}", 200),
    ("POST", "/admin/templates/{type}/preview", 200),
    ("POST", "/events/{eventType}", 202),
    // There is no such dead letter.
    ("POST", "/admin/dead-letters/{id}/replay", 404),
    ("POST", "/admin/dead-letters/replay", 200),
    ("POST", "/hooks/alerts", 204),
    ("POST", "/hooks/deliveries", 200),
];

/// An operation with a body.
struct Taking {
    method: Method,
    path: String,
    operation: Value,
}

async fn taking(client: &Client) -> anyhow::Result<Vec<Taking>> {
    let mut found = Vec::new();
    for (path, operations) in operations(&document(client).await?)? {
        for (method, operation) in operations {
            if operation["requestBody"].is_object() {
                found.push(Taking {
                    method,
                    path: path.clone(),
                    operation,
                });
            }
        }
    }
    Ok(found)
}

/// The example of the path parameter, if there is one.
fn parameter(operation: &Value) -> Option<&Value> {
    let parameters = operation["parameters"].as_array()?;
    parameters.iter().find_map(|one| one.get("example"))
}

#[tokio::test]
async fn the_example_of_every_body_is_accepted_unchanged() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_WEBHOOK_SECRET", SECRET);
    let server = Process::start_with(&options).await?;
    let admin = server.admin().await?;
    let taking = taking(&admin).await?;
    assert_eq!(taking.len(), ORDER.len(), "each has a place in the order");
    let mut things = Map::new();
    for (method, path, status) in ORDER {
        let place = format!("{method} {path}");
        let found = taking
            .iter()
            .find(|one| one.method == method && one.path == path);
        let operation = &found.with_context(|| place.clone())?.operation;
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        assert!(example.is_object(), "{place} has an example");
        if let Some(kind) = parameter(operation) {
            for before in ["templates", "events"] {
                things.insert(before.to_owned(), kind.clone());
            }
        }
        let client = match path.starts_with("/hooks/") {
            true => server.client().with_token(SECRET),
            false => admin.clone(),
        };
        let request = client.request(method.parse()?, &fill(path, &things));
        let answer = client.send(request.json(example)).await?;
        assert_eq!(answer.status, status, "{place}: {}", answer.text);
        let made = match path {
            "/admin/users" => Some(("users", &answer.body["id"])),
            "/releases" => Some(("releases", &answer.body["id"])),
            "/releases/{id}/tasks" => Some(("tasks", &answer.body["id"])),
            "/tasks/{id}/comments" => Some(("comments", &answer.body["id"])),
            "/chat/session" => Some(("chat", &answer.body["id"])),
            _ => None,
        };
        things.extend(made.map(|(name, id)| (name.to_owned(), id.clone())));
    }
    Ok(())
}
