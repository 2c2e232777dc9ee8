//! Accepted events in MongoDB: a document for each, with its outbox and its receipt
//! inside; and a document for each sender with the times that count for the quota.
//!
//! The quota is used up first, by a write that names what it allows. So of events that
//! come at the same time no more are stored than may be; one whose process ends between
//! the two writes, or that turns out to be a repetition, has used up its part all the same.

use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{DateTime, doc},
};
use serde::{Deserialize, Serialize};
use slipway_mesh::{
    bus::Event,
    life::{Check, Problem},
    outbox::mongo::{Entry, index as outbox_index},
    receipts::{
        Receipt,
        mongo::{self as receipts, ReceiptDocument},
    },
    store::mongo::{Database, Index, StorageError, bounded, from_bson, malformed, to_bson},
};
use slipway_proto::events::UserRef;
use uuid::Uuid;

use super::{Acceptance, IntakeStore};
use crate::{
    intake::{self, Accepted, QUOTA, WINDOW},
    store::{StoreError, search::Identified},
};

/// The collection of the accepted events.
pub(crate) const ACCEPTED: &str = "accepted";

const QUOTAS: &str = "quotas";

/// The index that refuses a second receipt.
const RECEIPT: &str = "receipt";

/// Its indexes.
pub(crate) const INDEXES: &[Index] = &[
    receipts::index(ACCEPTED, RECEIPT),
    receipts::time_index(ACCEPTED),
    outbox_index(ACCEPTED),
];

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// The MongoDB backend. It keeps nothing in the process.
#[derive(Debug, Clone)]
pub(crate) struct MongoIntakeStore {
    database: Database,
    accepted: Collection<AcceptedDocument>,
    quotas: Collection<QuotaDocument>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AcceptedDocument {
    /// The event's id, a UUIDv7: by it, documents are in the order of their times.
    #[serde(rename = "_id")]
    id: String,
    schema: i32,
    kind: String,
    sender: UserDocument,
    recipients: Vec<UserDocument>,
    at: DateTime,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    receipts: Vec<ReceiptDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    outbox: Vec<Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct UserDocument {
    id: String,
    username: String,
}

/// When a sender's latest events were accepted, oldest first: as many as the quota.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct QuotaDocument {
    #[serde(rename = "_id")]
    id: String,
    times: Vec<DateTime>,
}

impl MongoIntakeStore {
    /// The accepted events in `database`, which has the [`INDEXES`].
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            accepted: database.collection(ACCEPTED),
            quotas: database.collection(QUOTAS),
            database: database.clone(),
        }
    }

    async fn times(&self, sender: Uuid) -> Result<Vec<Timestamp>, StorageError> {
        let find = self.quotas.find_one(doc! { "_id": sender.to_string() });
        let found = bounded(find.into_future()).await?.unwrap_or_default();
        found.times.into_iter().rev().map(from_bson).collect()
    }

    /// Uses up a part of the sender's quota at `now`; whether there was one. A part is free
    /// if there are fewer times than it has parts, or if the oldest is over.
    async fn use_up(&self, sender: Uuid, now: Timestamp) -> Result<bool, StorageError> {
        let sender = sender.to_string();
        let over = to_bson(now.saturating_sub(WINDOW).map_err(malformed)?);
        let full = format!("times.{}", QUOTA - 1);
        let free = doc! {
            "_id": &sender,
            "$or": [ { full: { "$exists": false } }, { "times.0": { "$lte": over } } ],
        };
        let parts = i64::try_from(QUOTA).map_err(malformed)?;
        let used = doc! { "$push": { "times": { "$each": [to_bson(now)], "$slice": -parts } } };
        loop {
            let update = self.quotas.update_one(free.clone(), used.clone());
            match bounded(update.into_future()).await {
                Ok(updated) if updated.matched_count == 1 => return Ok(true),
                Ok(_) => {}
                Err(error) if error.gave_way() => continue,
                Err(error) => return Err(error),
            }
            // Used up, or the sender's first: the first is made empty, and tried again.
            let empty = QuotaDocument {
                id: sender.clone(),
                times: Vec::new(),
            };
            let insert = self.quotas.insert_one(empty);
            match bounded(insert.into_future()).await {
                Ok(_) => {}
                Err(error) if error.gave_way() => {}
                Err(error) if error.duplicate_key().is_some() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Stores it; `false` if there is a receipt of its key already.
    async fn insert(
        &self,
        document: &AcceptedDocument,
        receipt: Option<&Receipt>,
    ) -> Result<bool, StorageError> {
        loop {
            let insert = self.accepted.insert_one(document);
            let Err(error) = bounded(insert.into_future()).await else {
                return Ok(true);
            };
            match (error.duplicate_key(), receipt) {
                (Some(RECEIPT), Some(receipt)) => {
                    if !receipts::make_room(&self.accepted, receipt).await? {
                        return Ok(false);
                    }
                }
                _ if error.gave_way() => {}
                _ => return Err(error),
            }
        }
    }
}

#[async_trait]
impl Check for MongoIntakeStore {
    async fn check(&self) -> Result<(), Problem> {
        self.database.check().await
    }
}

#[async_trait]
impl IntakeStore for MongoIntakeStore {
    async fn accept(
        &self,
        accepted: &Accepted,
        event: Event,
        receipt: Option<Receipt>,
    ) -> Result<Acceptance, StoreError> {
        let sender = accepted.sender.id;
        while !self.use_up(sender, accepted.at).await? {
            let times = self.times(sender).await?;
            if let Some(wait) = intake::wait(&times, accepted.at) {
                return Ok(Acceptance::TooMany(wait));
            }
            // Another process made the sender's document in this very moment: once more.
        }
        let document = AcceptedDocument::new(accepted, &event, receipt.as_ref());
        let stored = self.insert(&document, receipt.as_ref()).await?;
        Ok(match stored {
            true => Acceptance::Stored,
            false => Acceptance::Repeated,
        })
    }

    async fn get(&self, id: Uuid) -> Result<Option<Accepted>, StoreError> {
        let find = self.accepted.find_one(doc! { "_id": id.to_string() });
        let found = bounded(find.into_future()).await?;
        Ok(found.map(Accepted::try_from).transpose()?)
    }

    async fn latest(&self, sender: Uuid) -> Result<Vec<Timestamp>, StoreError> {
        Ok(self.times(sender).await?)
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let old = doc! {
            "_id": { "$lt": id_at(before).to_string() },
            // What is not published yet is still needed.
            "outbox.id": { "$exists": false },
        };
        let documents = self.accepted.clone_with_type::<Identified<String>>();
        let find = documents
            .find(old)
            .sort(doc! { "_id": 1 })
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .projection(doc! { "_id": 1 });
        let found: Vec<Identified<String>> =
            bounded(async { find.await?.try_collect().await }).await?;
        let ids: Vec<_> = found.into_iter().map(|found| found.id).collect();
        let delete = self.accepted.delete_many(doc! { "_id": { "$in": ids } });
        let deleted = bounded(delete.into_future()).await?;
        Ok(usize::try_from(deleted.deleted_count).unwrap_or(usize::MAX))
    }
}

/// The smallest id of that time.
fn id_at(time: Timestamp) -> Uuid {
    let millis = u64::try_from(time.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

impl AcceptedDocument {
    fn new(accepted: &Accepted, event: &Event, receipt: Option<&Receipt>) -> Self {
        Self {
            id: accepted.id.to_string(),
            schema: SCHEMA,
            kind: accepted.kind.clone(),
            sender: UserDocument::from(&accepted.sender),
            recipients: accepted.recipients.iter().map(UserDocument::from).collect(),
            at: to_bson(accepted.at),
            receipts: receipt.map(ReceiptDocument::from).into_iter().collect(),
            outbox: vec![Entry::from(event)],
        }
    }
}

impl TryFrom<AcceptedDocument> for Accepted {
    type Error = StorageError;

    fn try_from(document: AcceptedDocument) -> Result<Self, StorageError> {
        let recipients = document.recipients.into_iter().map(UserRef::try_from);
        Ok(Self {
            id: document.id.parse().map_err(malformed)?,
            kind: document.kind,
            sender: document.sender.try_into()?,
            recipients: recipients.collect::<Result<_, _>>()?,
            at: from_bson(document.at)?,
        })
    }
}

impl From<&UserRef> for UserDocument {
    fn from(user: &UserRef) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.clone(),
        }
    }
}

impl TryFrom<UserDocument> for UserRef {
    type Error = StorageError;

    fn try_from(user: UserDocument) -> Result<Self, StorageError> {
        Ok(Self {
            id: user.id.parse().map_err(malformed)?,
            username: user.username,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::{
        outbox::mongo::MongoOutbox, receipts::mongo::MongoReceipts, store::mongo::testing::Scratch,
    };

    use super::*;
    use crate::store::intake::contract::{self, Opened};

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let database = Database::open(scratch.client(), scratch.name(), INDEXES).await;
        let store = MongoIntakeStore::new(&database.unwrap());
        (scratch, move || Opened {
            outbox: Arc::new(MongoOutbox::new(store.database.clone(), &[ACCEPTED])),
            receipts: Arc::new(MongoReceipts::new(store.database.clone(), &[ACCEPTED])),
            store: Arc::new(store.clone()),
        })
    });
}
