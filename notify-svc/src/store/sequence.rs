//! Appends to a log: documents with the numbers 1, 2, 3, …, one for each event.
//!
//! A writer numbers its entries after the newest one that it reads, and inserts them in that order.
//! If another writer has used a number, the insert is refused and the writer reads again. So numbers
//! have no gaps and no duplicates with any number of writers, and what an entry says about the one
//! before it is true. The event id is a unique key, so an event is logged only once.

use std::collections::HashSet;

use async_trait::async_trait;
use slipway_runtime::contention::back_off;
use slipway_store::{Document, Documents, Index, Write};

use super::StoreError;

/// The result of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// How many items were new.
    pub count: u64,
    /// The newest number now.
    pub newest: u64,
}

/// The document id for a number; ids sort in the order of the numbers.
pub(crate) fn place(number: u64) -> String {
    format!("{number:020}")
}

/// Entries that follow the newest one of a log.
pub(crate) struct Following<E> {
    /// The number of that one, 0 if the log is empty.
    pub(crate) newest: u64,
    /// One for each item, with the next numbers.
    pub(crate) entries: Vec<E>,
}

/// A log and the time at which something is appended to it.
#[async_trait]
pub(crate) trait Log: Sync {
    /// What is appended.
    type Item: Send;
    /// An item with its number. Its id is the [`place`] of its number.
    type Entry: Document;

    /// The unique index on the ids of events.
    const EVENT: Index;

    /// The event of an item.
    fn event(item: &Self::Item) -> String;

    /// Numbers the items after the newest entry that is stored now.
    async fn following(
        &self,
        documents: &Documents,
        items: Vec<Self::Item>,
    ) -> Result<Following<Self::Entry>, StoreError>;

    /// The item of an entry.
    fn item(entry: Self::Entry) -> Self::Item;

    /// Appends items in order, also when others append at the same time. An item whose event is
    /// already in the log is skipped.
    ///
    /// # Errors
    /// If the database is unavailable. Some of the items, from the first on, may have been
    /// appended: retry with all of them.
    async fn append(
        &self,
        documents: &Documents,
        items: Vec<Self::Item>,
    ) -> Result<Appended, StoreError> {
        let mut seen = HashSet::new();
        let mut waiting = items;
        waiting.retain(|item| seen.insert(Self::event(item)));
        let (mut count, mut attempt) = (0, 0);
        loop {
            let Following { newest, entries } = self.following(documents, waiting).await?;
            let writes = entries.iter().map(Write::insert).collect();
            let (done, refused) = documents.write_in_order(writes).await?;
            count += done as u64;
            if refused.is_none() {
                let newest = newest + done as u64;
                return Ok(Appended { count, newest });
            }
            // Another writer has used the number, or has logged the same event.
            back_off(attempt).await;
            let rest = entries.into_iter().skip(done).map(Self::item);
            waiting = self.unknown(documents, rest.collect()).await?;
            attempt += 1;
        }
    }

    /// The items whose events are not in the log.
    async fn unknown(
        &self,
        documents: &Documents,
        mut items: Vec<Self::Item>,
    ) -> Result<Vec<Self::Item>, StoreError> {
        let ids: Vec<_> = items.iter().map(Self::event).collect();
        let known = documents.find_many(&Self::EVENT, &ids).await?.into_iter();
        let known: HashSet<_> = known
            .map(|known: Self::Entry| Self::event(&Self::item(known)))
            .collect();
        items.retain(|item| !known.contains(&Self::event(item)));
        Ok(items)
    }
}
