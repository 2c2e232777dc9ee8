//! A write: a change of one document, with everything that is committed with it.

use std::fmt;

use crate::receipts::Receipt;
use mongodb::bson::{Bson, serialize_to_bson};
use serde::Serialize;
use slipway_bus::{Event, Record};
use uuid::Uuid;

use crate::{
    StoreError,
    document::{Collection, Document, Entries},
};

/// Why a write was refused; nothing of it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another document has a key of this unique index; `None`: the same id.
    #[error("another document has the key")]
    Taken(Option<&'static str>),
    /// The stored document is not at the expected revision; it may have been deleted.
    #[error("the document was changed meanwhile")]
    Revision,
    /// The request of the receipt was already executed.
    #[error("there is a receipt already")]
    Receipt,
    /// Events of the document are not published yet: it cannot be deleted before they are, or there
    /// are so many that the document would be too large.
    #[error("events of the document wait to be published")]
    Unpublished,
}

/// A change of one document. It is atomic, including its index entries, its events and its receipt.
pub struct Write<'a> {
    pub(crate) collection: Collection,
    pub(crate) id: String,
    pub(crate) change: Change<'a>,
    /// Records to publish, with the ids of their outbox entries.
    pub(crate) outbox: Vec<(Uuid, Record)>,
    /// The aggregate of the events.
    pub(crate) aggregate: Option<String>,
    pub(crate) receipt: Option<Receipt>,
}

pub(crate) enum Change<'a> {
    Insert(New<'a>),
    /// Replaces the document at this revision, which has these entries.
    Replace(u64, Entries, New<'a>),
    /// Deletes the document at this revision, which has these entries.
    Delete(u64, Entries),
}

/// The new state of a document.
pub(crate) struct New<'a> {
    pub(crate) revision: u64,
    pub(crate) entries: Entries,
    pub(crate) body: &'a dyn Encode,
    pub(crate) summary: Box<dyn Encode + 'a>,
}

impl<'a, D: Document> From<&'a D> for New<'a> {
    fn from(document: &'a D) -> Self {
        Self {
            revision: document.revision(),
            entries: Entries::of(document),
            body: document,
            summary: Box::new(document.summary()),
        }
    }
}

/// Encodes a value for each database.
pub(crate) trait Encode: Send + Sync {
    fn json(&self) -> Result<String, StoreError>;
    fn bson(&self) -> Result<Bson, StoreError>;
}

impl<T: Serialize + Send + Sync> Encode for T {
    fn json(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|error| StoreError::Unstorable(error.to_string()))
    }

    fn bson(&self) -> Result<Bson, StoreError> {
        serialize_to_bson(self).map_err(|error| StoreError::Unstorable(error.to_string()))
    }
}

impl<'a> Write<'a> {
    /// Stores a new document. Refused if another document has its id or one of its unique keys.
    #[must_use]
    pub fn insert<D: Document>(document: &'a D) -> Self {
        Self::new::<D>(document.id(), Change::Insert(document.into()))
    }

    /// Replaces `before` by `after`, if the stored document is at the revision of `before`.
    #[must_use]
    pub fn replace<D: Document>(before: &D, after: &'a D) -> Self {
        debug_assert_eq!(before.id(), after.id());
        debug_assert_eq!(before.revision() + 1, after.revision());
        let (revision, entries) = (before.revision(), Entries::of(before));
        Self::new::<D>(after.id(), Change::Replace(revision, entries, after.into()))
    }

    /// Deletes a document, if it is stored at the revision of `document`. Where events are stored
    /// inside the document, this is refused while some of them are unpublished.
    #[must_use]
    pub fn delete<D: Document>(document: &D) -> Self {
        let change = Change::Delete(document.revision(), Entries::of(document));
        Self::new::<D>(document.id(), change)
    }

    /// A unique key that the new document has twice, if there is one.
    pub(crate) fn repeated(&self) -> Option<&'static str> {
        match &self.change {
            Change::Insert(new) | Change::Replace(_, _, new) => new.entries.repeated(),
            Change::Delete(..) => None,
        }
    }

    fn new<D: Document>(id: String, change: Change<'a>) -> Self {
        Self {
            collection: D::COLLECTION,
            id,
            change,
            outbox: Vec::new(),
            aggregate: None,
            receipt: None,
        }
    }

    /// Adds events to publish. All of them have the key `event.key`.
    #[must_use]
    pub fn with_events<'e>(mut self, events: impl IntoIterator<Item = &'e Event>) -> Self {
        for event in events {
            self.aggregate = Some(event.key.clone());
            self.outbox.push((event.id, event.to_record()));
        }
        self
    }

    /// Adds a record to publish that is not a new event, such as a replayed dead letter, in the
    /// order of the events of `aggregate`.
    #[must_use]
    pub fn with_record(mut self, aggregate: impl fmt::Display, record: Record) -> Self {
        self.aggregate = Some(aggregate.to_string());
        self.outbox.push((Uuid::now_v7(), record));
        self
    }

    /// Adds the receipt of the request that caused the write, if there is one.
    #[must_use]
    pub fn with_receipt(mut self, receipt: Option<Receipt>) -> Self {
        self.receipt = receipt;
        self
    }
}
