//! Stores the audit trail: one document for each entry, whose id is its number in the chain. The
//! numbers are assigned as in every [log](crate::store::sequence), so replicas write one chain.

mod list;
mod stored;
mod verify;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use slipway_sqlite::StorageError;
use slipway_store::{BY_ID, Documents, Index, Query};

use self::stored::{BY_RELEASE, EVENT};
pub use self::{list::Place, verify::Verdict};
use super::{Entry, Head};
use crate::store::{
    NAME, StoreError,
    sequence::{Appended, Following, Log},
};

/// How many releases are looked up at the same time.
const AT_ONCE: usize = 16;

/// The audit trail.
#[derive(Clone)]
pub struct AuditStore(Documents);

impl AuditStore {
    /// A store of the trail in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// The trail in the existing SQLite file at `path`, for reading only, also while a server uses
    /// it. Blocks.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be used.
    pub fn read_only(path: &Path) -> Result<Self, StorageError> {
        Ok(Self::new(Documents::sqlite_read_only(path, NAME)?))
    }

    /// Appends entries in order, also when others append at the same time. An entry whose event is
    /// already in the trail is skipped.
    ///
    /// # Errors
    /// If the database is unavailable. Some of them, from the first on, may have been appended:
    /// retry with all of them.
    pub async fn append(&self, entries: Vec<Entry>) -> Result<Appended, StoreError> {
        Trail.append(&self.0, entries).await
    }

    /// The end of the chain.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn head(&self) -> Result<Head, StoreError> {
        let last = Query::last(1, "");
        let found = self.0.summaries::<Entry>(&BY_ID, &last).await?;
        let last = found.into_iter().next();
        Ok(last.map_or_else(Head::none, |found| found.head))
    }

    /// How many entries a release has.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn count_of(&self, release_id: &str) -> Result<u64, StoreError> {
        let last = Query::last(1, release_id);
        let found = self.0.summaries::<Entry>(&BY_RELEASE, &last).await?;
        Ok(found.first().map_or(0, |found| found.release_position))
    }

    /// How many entries each of these releases has.
    async fn counts(&self, releases: BTreeSet<String>) -> Result<HashMap<String, u64>, StoreError> {
        stream::iter(releases)
            .map(|release| async move {
                let count = self.count_of(&release).await?;
                Ok((release, count))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}

/// The trail as a log.
struct Trail;

#[async_trait]
impl Log for Trail {
    type Item = Entry;
    type Entry = Entry;

    const EVENT: Index = EVENT;

    fn event(entry: &Entry) -> String {
        entry.event_id.clone()
    }

    /// The end of the chain is read before the ends of the releases. If an entry is appended in
    /// between, the next number is taken, and what is made here is not stored.
    async fn following(
        &self,
        documents: &Documents,
        entries: Vec<Entry>,
    ) -> Result<Following<Entry>, StoreError> {
        let store = AuditStore::new(documents.clone());
        let mut head = store.head().await?;
        let newest = head.number;
        let releases = entries.iter().map(|entry| entry.release_id.clone());
        let releases = releases.filter(|release| !release.is_empty()).collect();
        let mut counts = store.counts(releases).await?;
        let chain = entries.into_iter().map(|entry| {
            let count = counts.get_mut(&entry.release_id);
            let before = count.as_deref().copied().unwrap_or_default();
            if let Some(count) = count {
                *count += 1;
            }
            let entry = entry.chained(&head, before);
            head = entry.head();
            entry
        });
        Ok(Following {
            newest,
            entries: chain.collect(),
        })
    }

    fn item(entry: Entry) -> Entry {
        entry
    }
}
