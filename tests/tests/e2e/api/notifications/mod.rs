//! Preferences, the log of notifications, templates, and events of other programs. Mails are
//! written to files.

mod deliveries;
mod events;
mod history;
mod preferences;
mod templates;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{Answer, Client, Process, until};

use super::items;

/// PUT with additional headers.
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

/// The list at `path`, once it has `count` items that meet the condition.
async fn listed(
    client: &Client,
    path: &str,
    count: usize,
    should: impl Fn(&Value) -> bool,
) -> anyhow::Result<Vec<Value>> {
    until(async || {
        let page = client.get(path).await?.expect(200);
        let found = items(&page)?;
        ensure!(
            found.len() == count && found.iter().all(&should),
            "{path} has not {count} as they should be: {page:#}"
        );
        Ok(found.to_vec())
    })
    .await
}

fn has(status: &'static str) -> impl Fn(&Value) -> bool {
    move |notification| notification["status"] == status
}

/// The mail of a notification, as it was written to its file.
async fn mail(server: &Process, notification: &Value) -> anyhow::Result<String> {
    let id = notification["id"].as_str().context("id")?;
    let file = server.data.path().join(format!("data/mail/{id}.eml"));
    Ok(tokio::fs::read_to_string(file).await?)
}

/// Waits until notify-svc knows these users: it learns of them from their events.
async fn known(admin: &Client, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        let path = format!("/admin/notifications?recipient={name}");
        until(async || {
            let answer = admin.get(&path).await?;
            ensure!(answer.status == 200, "{name} is not known: {}", answer.text);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Templates for orders.
fn order() -> Value {
    json!({
        "subject": "Order {{ orderId }} is on its way",
        "text": "Hello {{ recipient }}, your order {{ orderId }}{% if note %} ({{ note }}){% endif %}.",
        "html": "<p>Hello {{ recipient }}, your order {{ orderId }}.</p>",
        "sample": {"orderId": "A-1", "note": null},
    })
}
