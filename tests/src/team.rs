//! Developers and releases to test with.

use anyhow::Context as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use crate::{ADMIN_PASSWORD, Answer, Client, Process};

/// Every developer's password.
pub const PASSWORD: &str = "a password for tests";

/// Number of concurrent registrations.
const AT_ONCE: usize = 16;

/// An admin and some developers, signed in.
pub struct Team {
    /// The admin.
    pub admin: Client,
    /// The developers, named dev-0, dev-1, …
    pub developers: Vec<Client>,
}

impl Team {
    /// Registers `count` developers.
    ///
    /// # Errors
    /// If that fails.
    pub async fn new(process: &Process, count: usize) -> anyhow::Result<Self> {
        Self::at(&process.client(), count).await
    }

    /// The same, for the Slipway of this client.
    ///
    /// # Errors
    /// If that fails.
    pub async fn at(client: &Client, count: usize) -> anyhow::Result<Self> {
        // The server queues a limited number of registrations, and refuses more.
        let names = stream::iter(0..count).map(|n| format!("dev-{n}"));
        let developers = names
            .map(|name| register(client, name))
            .buffered(AT_ONCE)
            .try_collect();
        Ok(Self {
            admin: client.login("admin", ADMIN_PASSWORD).await?,
            developers: developers.await?,
        })
    }

    /// Plans a release with tasks for these developers, in order; returns it.
    ///
    /// # Errors
    /// If that fails.
    pub async fn release(&self, name: &str, owners: &[usize]) -> anyhow::Result<Value> {
        let tasks: Vec<_> = owners
            .iter()
            .enumerate()
            .map(|(n, owner)| json!({"title": format!("task {n}"), "assignee": format!("dev-{owner}")}))
            .collect();
        let body = json!({"name": name, "tasks": tasks});
        Ok(self.admin.post("/releases", &body).await?.expect(201))
    }
}

/// Registers a developer and signs them in.
///
/// # Errors
/// If that fails.
pub async fn register(client: &Client, username: String) -> anyhow::Result<Client> {
    let body = json!({
        "username": username,
        "email": format!("{username}@example.com"),
        "password": PASSWORD,
    });
    let body = try_to_register(client, &body).await?.expect(201);
    Ok(client.with_token(body["token"].as_str().context("a token")?))
}

/// Registers an account. On a busy machine, while others hash passwords, it may take more than one
/// try; each waits some seconds.
///
/// # Errors
/// If there is no answer.
pub async fn try_to_register(client: &Client, account: &Value) -> anyhow::Result<Answer> {
    loop {
        let answer = client.post("/auth/register", account).await?;
        if answer.body["code"] != "TOO_BUSY" {
            return Ok(answer);
        }
    }
}

/// The ids of a release's tasks, in order.
#[must_use]
pub fn task_ids(release: &Value) -> Vec<String> {
    let tasks = release["tasks"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    tasks.iter().map(|task| id(task).to_owned()).collect()
}

/// The id of a thing.
///
/// # Panics
/// If it has none.
#[track_caller]
#[must_use]
pub fn id(thing: &Value) -> &str {
    thing["id"].as_str().expect("it has an id")
}

/// A task or release without what it says about the caller: `canStart` and `blockedBy`.
#[must_use]
pub fn shared(mut of: Value) -> Value {
    let Some(fields) = of.as_object_mut() else {
        return of;
    };
    fields.remove("canStart");
    fields.remove("blockedBy");
    let tasks = fields.get_mut("tasks").and_then(Value::as_array_mut);
    for task in tasks.into_iter().flatten() {
        *task = shared(task.take());
    }
    of
}
