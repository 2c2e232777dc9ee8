//! Prints a list of the API, page by page.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Client, Page};
use crate::{output, text::escape_json};

/// The most items of a page.
pub(super) const PAGE: usize = 200;

/// An item that has a line of text.
pub trait Listed: DeserializeOwned {
    /// The line, without its end.
    fn line(&self) -> String;
}

/// What is listed, and how.
pub struct Listing<'a> {
    /// The path of the list.
    pub path: &'a str,
    /// The conditions.
    pub query: Vec<(&'a str, &'a str)>,
    /// The most items.
    pub limit: u32,
    /// Whether each item is printed as JSON on one line.
    pub json: bool,
    /// The remark if there are none.
    pub none: &'a str,
}

impl Client {
    /// Prints the items of a list on standard output, a line for each.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses, or the output cannot be written.
    pub async fn print_list<T: Listed>(&self, listing: Listing<'_>) -> anyhow::Result<()> {
        let mut cursor: Option<String> = None;
        let mut left = listing.limit as usize;
        let mut is_empty = true;
        while left > 0 {
            let limit = left.min(PAGE).to_string();
            let mut query = listing.query.clone();
            query.push(("limit", &limit));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page<Value> = self.get(listing.path, &query).await?;
            is_empty &= page.items.is_empty();
            for item in &page.items {
                let line = if listing.json {
                    escape_json(&item.to_string())
                } else {
                    serde_json::from_value::<T>(item.clone())?.line()
                };
                output::print(&(line + "\n"))?;
            }
            left = left.saturating_sub(page.items.len());
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        if is_empty {
            output::remark(listing.none);
        }
        Ok(())
    }
}
