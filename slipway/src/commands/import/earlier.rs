//! Checks whether a plan was imported before.

use serde::Deserialize;
use slipway_plan::Plan;
use slipway_runtime::text::{comparable_line, is_blank};

use crate::{
    commands::client::{Client, Page},
    text::escape,
};

/// A release with the plan's name and version exists.
#[derive(Debug, thiserror::Error)]
#[error(
    "ALREADY_IMPORTED: the release {name} {version} exists already, with the id {id}. Nothing was \
     created. With --force the plan is imported once more."
)]
pub struct AlreadyImported {
    name: String,
    /// "with the version 1.0".
    version: String,
    id: String,
}

/// The identifying fields of a release.
#[derive(Debug, Deserialize)]
struct Known {
    id: String,
    name: String,
    version: Option<String>,
}

/// Looks for a release with the plan's name and version.
///
/// # Errors
/// [`AlreadyImported`] if there is one; or if the server cannot be reached or refuses.
pub(super) async fn check(client: &Client, plan: &Plan) -> anyhow::Result<()> {
    let version = plan.version.as_deref().unwrap_or_default();
    // In the form that the server stores.
    let version = if is_blank(version) { "" } else { version };
    let (name, version) = (comparable_line(&plan.name), comparable_line(version));
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "200")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: Page<Known> = client.get("/releases", &query).await?;
        let same = page.items.into_iter().find(|known| {
            comparable_line(&known.name) == name
                && comparable_line(known.version.as_deref().unwrap_or_default()) == version
        });
        if let Some(Known { id, name, .. }) = same {
            let (name, id) = (escape(&name), escape(&id));
            let version = match version.as_str() {
                "" => "without a version".to_owned(),
                version => format!("with the version {}", escape(version)),
            };
            return Err(AlreadyImported { name, version, id }.into());
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}
