//! Verifies the stored chain from its first entry to its last.

use slipway_store::{BY_ID, Query, StoreError as DocumentError};

use super::AuditStore;
use crate::{
    audit::{Broken, Chain, Entry, Flaw, Head},
    store::{StoreError, sequence::place},
};

/// How many entries are read at a time.
const READ: u32 = 500;

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The chain is whole and ends here.
    Whole(Head),
    /// The chain is broken.
    Broken(Broken),
}

impl AuditStore {
    /// Verifies the whole chain, also while others append to it; if a head was noted, also that it
    /// is part of the chain.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn verify(&self, noted: Option<Head>) -> Result<Verdict, StoreError> {
        let mut chain = Chain::new(noted);
        let mut limit = READ;
        loop {
            let part = Query::first(limit, "").above(place(chain.head().number));
            let entries: Vec<Entry> = match self.0.list(&BY_ID, &part).await {
                Ok(entries) => entries,
                // One by one, to find those that are broken before it.
                Err(error) if is_of_entry(&error) && limit > 1 => {
                    limit = 1;
                    continue;
                }
                Err(error) if is_of_entry(&error) => {
                    let flaw = Flaw::Unreadable(error.to_string());
                    return Ok(Verdict::Broken(flaw.of(chain.next())));
                }
                Err(error) => return Err(error.into()),
            };
            if entries.is_empty() {
                return Ok(match chain.end() {
                    Ok(head) => Verdict::Whole(head),
                    Err(broken) => Verdict::Broken(broken),
                });
            }
            for entry in entries {
                if let Err(broken) = chain.follow(&entry) {
                    return Ok(Verdict::Broken(broken));
                }
            }
        }
    }
}

/// Whether an entry cannot be read because of what is stored of it.
fn is_of_entry(error: &DocumentError) -> bool {
    matches!(
        error,
        DocumentError::Malformed { .. } | DocumentError::Schema { .. }
    )
}
