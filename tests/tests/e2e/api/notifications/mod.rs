//! Preferences, the log of notifications, templates, and events of other programs. The
//! mails are files.

mod deliveries;
mod events;
mod history;
mod preferences;
mod templates;

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{Answer, Client, Process};

use super::items;

/// How long a notification may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// PUT, with other headers.
async fn put(
    client: &Client,
    path: &str,
    body: &Value,
    headers: &[(&str, &str)],
) -> anyhow::Result<Answer> {
    let mut request = client.request(Method::PUT, path).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request).await
}

/// The list at `path`, once it has `count` items that are as they should be.
async fn until(
    client: &Client,
    path: &str,
    count: usize,
    should: impl Fn(&Value) -> bool,
) -> anyhow::Result<Vec<Value>> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let page = client.get(path).await?.expect(200);
        let found = items(&page)?;
        if found.len() == count && found.iter().all(&should) {
            return Ok(found.to_vec());
        }
        if tokio::time::Instant::now() > deadline {
            bail!("{path} has not {count} as they should be: {page:#}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn has(status: &'static str) -> impl Fn(&Value) -> bool {
    move |notification| notification["status"] == status
}

/// The mail of a notification, as it was written.
async fn mail(server: &Process, notification: &Value) -> anyhow::Result<String> {
    let id = notification["id"].as_str().context("id")?;
    let file = server.data.path().join(format!("data/mail/{id}.eml"));
    Ok(tokio::fs::read_to_string(file).await?)
}

/// Waits until these names are known where notifications are made: accounts get there by
/// their events.
async fn known(admin: &Client, names: &[&str]) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for name in names {
        let path = format!("/admin/notifications?recipient={name}");
        while admin.get(&path).await?.status != 200 {
            if tokio::time::Instant::now() > deadline {
                bail!("{name} is not known");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// The templates of orders.
fn order() -> Value {
    json!({
        "subject": "Order {{ orderId }} is on its way",
        "text": "Hello {{ recipient }}, your order {{ orderId }}{% if note %} ({{ note }}){% endif %}.",
        "html": "<p>Hello {{ recipient }}, your order {{ orderId }}.</p>",
        "sample": {"orderId": "A-1", "note": null},
    })
}
