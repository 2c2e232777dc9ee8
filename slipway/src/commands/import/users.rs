//! The developers of a plan: finds the missing ones and registers them.

use rand::distr::{Alphanumeric, SampleString as _};
use release_svc::identity::{Email, Username};
use reqwest::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::{
    UsageError,
    commands::client::{Client, ClientError, Page, User},
};

/// About 119 bits of randomness.
const PASSWORD_LENGTH: usize = 20;

/// The role of those who can have tasks.
const DEVELOPER: &str = "DEVELOPER";

/// A developer to be registered. The password is stored nowhere else.
#[derive(Debug, Clone, Serialize)]
pub(super) struct NewUser {
    pub(super) username: String,
    pub(super) email: String,
    pub(super) password: String,
}

impl NewUser {
    /// Accounts for `names`, with addresses at `domain` and random passwords.
    ///
    /// # Errors
    /// If a name of the plan or the domain is invalid.
    pub(super) fn of(names: &[&str], domain: &str) -> anyhow::Result<Vec<Self>> {
        let user = |name: &&str| {
            Username::new(name).map_err(|rule| {
                anyhow::anyhow!("nothing was created: the new username {name} {rule}")
            })?;
            let email = format!("{name}@{domain}");
            Email::new(&email).map_err(|_| {
                let text = "--email-domain must be a domain such as example.com, with which \
                            the assignees' names make email addresses";
                UsageError(text.into())
            })?;
            Ok(Self {
                username: (*name).to_owned(),
                email,
                password: Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH),
            })
        };
        names.iter().map(user).collect()
    }
}

/// The `assignees` that do not exist.
///
/// # Errors
/// If the server refuses, or an assignee exists and is not a developer: only developers can have
/// tasks.
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
        .filter(|(_, user)| user.as_ref().is_some_and(|user| user.role != DEVELOPER))
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

/// The account with this name. The server searches by prefix.
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

/// Registers a developer. Returns whether this call has done it: if not, somebody else has
/// registered a developer of this name meanwhile, such as an import of the same plan.
pub(super) async fn register(
    client: &Client,
    key: &str,
    user: &NewUser,
) -> Result<bool, ClientError> {
    let refusal = match client.post::<Value>("/auth/register", key, user).await {
        Ok(_) => return Ok(true),
        Err(ClientError::Refused(refusal)) if refusal.status == StatusCode::CONFLICT => refusal,
        Err(error) => return Err(error),
    };
    match find(client, &user.username).await {
        Ok(Some(other)) if other.role == DEVELOPER => Ok(false),
        _ => Err(refusal.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_domain_is_wrong_use_and_a_wrong_name_a_fault_of_the_plan() {
        let name = NewUser::of(&["system"], "example.com").unwrap_err();
        assert!(!name.is::<UsageError>(), "{name}");
        let domain = NewUser::of(&["ada"], "no domain").unwrap_err();
        assert!(domain.is::<UsageError>(), "{domain}");
    }
}
