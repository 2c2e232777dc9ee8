//! The outbox in MongoDB: inside each aggregate's document, so that a change and its events are one
//! write of one document.
//!
//! The events of a document are in its array `outbox`, in commit order. They are published from its
//! head and removed by their ids.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Backlog, OutboxPosition, OutboxStore, Pending, first_id};
use crate::StoreError;
use slipway_bus::{Event, Record};
use slipway_mongo::{Database, Index, StorageError, bounded, malformed};

/// The field of an aggregate's document that contains its events.
pub const FIELD: &str = "outbox";

/// The index that finds documents of `collection` with unpublished events: it contains only these,
/// ordered by their oldest event.
#[must_use]
pub const fn index(collection: &'static str) -> Index {
    Index::on(collection, "outbox", &[("outbox.id", 1)]).having("outbox.id")
}

/// An event as it is stored in a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Id of the event: later ones sort after earlier ones.
    id: String,
    topic: String,
    key: String,
    headers: Vec<(String, String)>,
    value: Binary,
}

impl From<&Event> for Entry {
    fn from(event: &Event) -> Self {
        Self::new(event.id, event.to_record())
    }
}

impl Entry {
    /// An entry for a record that is not a new event, such as a replayed dead letter. `id` is a
    /// UUIDv7 with the current time.
    #[must_use]
    pub fn new(id: Uuid, record: Record) -> Self {
        Self {
            id: id.to_string(),
            topic: record.topic,
            key: record.key,
            headers: record.headers,
            value: Binary {
                subtype: BinarySubtype::Generic,
                bytes: record.value.into(),
            },
        }
    }
}

/// Matches the documents with events from before `before`.
#[must_use]
pub fn overdue(before: Timestamp) -> Document {
    // `$exists` is needed for the index to be used: it contains only documents that have the field.
    doc! { "outbox.id": { "$exists": true, "$lt": first_id(before).to_string() } }
}

/// Matches the documents of these aggregates that have events.
#[must_use]
pub fn waiting(key: &str, aggregates: &[String]) -> Document {
    doc! { key: { "$in": aggregates }, "outbox.id": { "$exists": true } }
}

/// The fields of a document that are needed here. Its id and its aggregate's id are texts.
#[derive(Debug, Serialize, Deserialize)]
struct Queue {
    #[serde(rename = "_id")]
    id: String,
    aggregate: String,
    outbox: Vec<Entry>,
}

/// The outboxes in the documents of some collections, which must have the [`index`].
#[derive(Debug, Clone)]
pub struct MongoOutbox {
    database: Database,
    collections: &'static [&'static str],
    /// The field of a document that is the key of its events.
    key: &'static str,
}

impl MongoOutbox {
    /// The outboxes in `collections` in which each document is an aggregate.
    #[must_use]
    pub fn new(database: Database, collections: &'static [&'static str]) -> Self {
        Self {
            database,
            collections,
            key: "_id",
        }
    }

    /// The outboxes in `collections` in which the field `key` contains the aggregate of a document.
    /// They must have an index on this field, for the documents with unpublished events.
    #[must_use]
    pub fn by(database: Database, collections: &'static [&'static str], key: &'static str) -> Self {
        Self {
            key,
            ..Self::new(database, collections)
        }
    }

    async fn read(&self, aggregates: &[Uuid], limit: usize) -> Result<Vec<Pending>, StorageError> {
        let ids: Vec<_> = aggregates.iter().map(Uuid::to_string).collect();
        let mut pending = Vec::new();
        for collection in self.collections {
            let wanted = limit - pending.len();
            if wanted == 0 {
                break;
            }
            let documents = self.database.collection::<Queue>(collection);
            let found = documents.aggregate([
                doc! { "$match": waiting(self.key, &ids) },
                doc! { "$sort": { "outbox.id": 1 } },
                doc! { "$limit": wanted as i64 },
                doc! { "$project": {
                    "aggregate": format!("${}", self.key),
                    FIELD: { "$slice": ["$outbox", wanted as i64] },
                } },
            ]);
            let queues: Vec<Queue> =
                bounded(async { found.with_type().await?.try_collect().await }).await?;
            for queue in queues {
                let aggregate = queue.aggregate.parse().map_err(malformed)?;
                let entries = queue.outbox.into_iter().take(limit - pending.len());
                let place = |entry| to_pending(collection, &queue.id, aggregate, entry);
                pending.extend(entries.map(place));
            }
        }
        Ok(pending)
    }

    async fn older(
        &self,
        before: Timestamp,
        except: &[Uuid],
        limit: usize,
    ) -> Result<Vec<Uuid>, StorageError> {
        let mut overdue = overdue(before);
        if !except.is_empty() {
            let except: Vec<_> = except.iter().map(Uuid::to_string).collect();
            overdue.insert(self.key, doc! { "$nin": except });
        }
        let mut found = Vec::new();
        for collection in self.collections {
            let documents = self.database.collection::<Document>(collection);
            let oldest = documents
                .find(overdue.clone())
                .sort(doc! { "outbox.id": 1 })
                .projection(doc! { self.key: 1 })
                .limit(limit as i64);
            let documents: Vec<_> = bounded(async { oldest.await?.try_collect().await }).await?;
            for document in documents {
                let id = document.get_str(self.key).map_err(malformed)?;
                let id = id.parse().map_err(malformed)?;
                if !found.contains(&id) {
                    found.push(id);
                }
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Removes published events from the documents of one collection.
    async fn clear(&self, collection: &str, published: &Published) -> Result<(), StorageError> {
        let collection = self.database.collection::<Queue>(collection);
        let documents: Vec<_> = published.documents.iter().collect();
        loop {
            // An event's id occurs in one document only.
            let update = collection.update_many(
                doc! { "_id": { "$in": &documents } },
                doc! { "$pull": { FIELD: { "id": { "$in": &published.events } } } },
            );
            match bounded(update.into_future()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.gave_way() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn to_pending(collection: &str, document: &str, aggregate: Uuid, entry: Entry) -> Pending {
    Pending {
        aggregate,
        place: OutboxPosition(format!("{collection}/{document}/{}", entry.id)),
        record: Record {
            topic: entry.topic,
            key: entry.key,
            headers: entry.headers,
            value: entry.value.bytes.into(),
        },
    }
}

/// The events to remove from the documents of a collection.
#[derive(Debug, Default)]
struct Published {
    documents: BTreeSet<String>,
    events: Vec<String>,
}

fn by_collection(published: &[Pending]) -> BTreeMap<&str, Published> {
    let mut collections = BTreeMap::<_, Published>::new();
    for Pending { place, .. } in published {
        let mut parts = place.0.splitn(3, '/');
        let (Some(collection), Some(document), Some(event)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let found = collections.entry(collection).or_default();
        found.documents.insert(document.to_owned());
        found.events.push(event.to_owned());
    }
    collections
}

#[async_trait]
impl OutboxStore for MongoOutbox {
    async fn pending(&self, aggregates: &[Uuid], limit: usize) -> Result<Vec<Pending>, StoreError> {
        Ok(self.read(aggregates, limit).await?)
    }

    async fn overdue(
        &self,
        before: Timestamp,
        except: &[Uuid],
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        Ok(self.older(before, except, limit).await?)
    }

    async fn remove(&self, published: &[Pending]) -> Result<(), StoreError> {
        for (collection, published) in by_collection(published) {
            self.clear(collection, &published).await?;
        }
        Ok(())
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let mut all = Waiting::default();
        for collection in self.collections {
            let collection = self.database.collection::<Queue>(collection);
            let waiting = collection.aggregate([
                doc! { "$match": { "outbox.id": { "$exists": true } } },
                doc! { "$group": {
                    "_id": null,
                    "events": { "$sum": { "$size": "$outbox" } },
                    // The first event of a document is its oldest.
                    "oldest": { "$min": { "$arrayElemAt": ["$outbox.id", 0] } },
                } },
            ]);
            let groups: Vec<Waiting> =
                bounded(async { waiting.with_type().await?.try_collect().await }).await?;
            for group in groups {
                all.events += group.events;
                let oldest = all.oldest.into_iter().chain(group.oldest);
                all.oldest = oldest.min();
            }
        }
        Ok(Backlog::new(all.events, all.oldest.as_deref()))
    }
}

/// The waiting events of a collection.
#[derive(Debug, Default, Deserialize)]
struct Waiting {
    /// How many there are.
    events: u64,
    /// Id of the oldest one.
    oldest: Option<String>,
}
