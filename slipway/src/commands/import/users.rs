//! The developers of a plan: who is there already, and who has to be registered.

use rand::distr::{Alphanumeric, SampleString as _};
use serde::Serialize;
use serde_json::{Value, json};

use crate::commands::client::{Client, ClientError, Page, User};

/// About 119 bits of randomness.
const PASSWORD_LENGTH: usize = 20;

/// A developer who was registered. Their password is kept nowhere else.
#[derive(Serialize)]
pub(super) struct NewUser {
    pub(super) username: String,
    pub(super) email: String,
    pub(super) password: String,
}

/// Which of `assignees` do not exist.
///
/// # Errors
/// If the server refuses, or if somebody exists who is not a developer: only developers
/// can have tasks.
pub(super) async fn missing<'a>(
    client: &Client,
    assignees: &[&'a str],
) -> anyhow::Result<Vec<&'a str>> {
    let mut found = Vec::new();
    for name in assignees {
        found.push((*name, find(client, name).await?));
    }
    let unfit: Vec<&str> = found
        .iter()
        .filter(|(_, user)| user.as_ref().is_some_and(|user| user.role != "DEVELOPER"))
        .map(|(name, _)| *name)
        .collect();
    anyhow::ensure!(
        unfit.is_empty(),
        "these assignees are not developers: {}; nothing was created",
        unfit.join(", ")
    );
    let absent = found.into_iter().filter(|(_, user)| user.is_none());
    Ok(absent.map(|(name, _)| name).collect())
}

/// The account called `name`; the server searches for names like it.
async fn find(client: &Client, name: &str) -> Result<Option<User>, ClientError> {
    let mut cursor = String::new();
    loop {
        let mut query = vec![("q", name), ("limit", "200")];
        if !cursor.is_empty() {
            query.push(("cursor", &cursor));
        }
        let page: Page<User> = client.get("/users", &query).await?;
        let mut users = page.items.into_iter();
        let user = users.find(|user| user.username.eq_ignore_ascii_case(name));
        match page.next_cursor {
            Some(next) if user.is_none() => cursor = next,
            _ => return Ok(user),
        }
    }
}

/// Registers a developer with a random password.
pub(super) async fn register(
    client: &Client,
    key: &str,
    username: &str,
    domain: &str,
) -> Result<NewUser, ClientError> {
    let user = NewUser {
        username: username.to_owned(),
        email: format!("{username}@{domain}"),
        password: Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH),
    };
    let body = json!({
        "username": user.username,
        "email": user.email,
        "password": user.password,
    });
    let _: Value = client.post("/auth/register", key, &body).await?;
    Ok(user)
}
