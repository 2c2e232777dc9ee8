//! The activity log in MongoDB: a document for each entry, whose `_id` is its number.
//!
//! A writer takes the number after the highest one that it reads. If another writer was
//! faster, the primary key refuses the document, and the writer reads again. So the
//! numbers have neither gaps nor repeats, whatever the number of writers; and a unique
//! index on the event's id keeps an event from being logged twice.

mod append;
mod documents;
mod list;
#[cfg(test)]
mod plans;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::{Collection, bson::doc};
use serde::Deserialize;
use slipway_mongo::{Client, Database, Index, StorageError, bounded, to_bson};
use slipway_runtime::life::{Check, Problem};

use self::documents::EntryDocument;
use super::{ActivityStore, Appended, Page, Query};
use crate::{
    activity::Activity,
    store::{StoreError, search::Identified},
};

const ACTIVITY: &str = "activity";

const INDEXES: &[Index] = &[
    Index::on(ACTIVITY, "event", &[("eventId", 1)]).unique(),
    Index::on(ACTIVITY, "by_type", &[("type", 1), ("_id", 1)]),
    Index::on(ACTIVITY, "by_family", &[("family", 1), ("_id", 1)]),
    Index::on(ACTIVITY, "by_release", &[("releaseId", 1), ("_id", 1)]).having("releaseId"),
    Index::on(ACTIVITY, "by_person", &[("people", 1), ("_id", 1)]),
];

/// The MongoDB backend. It keeps nothing in the process.
#[derive(Debug, Clone)]
pub(crate) struct MongoActivityStore {
    database: Database,
    entries: Collection<EntryDocument>,
}

impl MongoActivityStore {
    /// The log in the database `name`, usually [`crate::store::DATABASE`]; its indexes are built if
    /// they are not there.
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub(crate) async fn open(client: &Client, name: &str) -> Result<Self, StorageError> {
        let database = Database::open(client, name, INDEXES).await?;
        Ok(Self {
            entries: database.collection(ACTIVITY),
            database,
        })
    }

    /// The lowest (1) or highest (-1) number, 0 when the log is empty.
    async fn end(&self, order: i32) -> Result<u64, StorageError> {
        let entries = self.entries.clone_with_type::<Identified<u64>>();
        let find = entries
            .find_one(doc! {})
            .sort(doc! { "_id": order })
            .projection(doc! { "_id": 1 });
        let found = bounded(find.into_future()).await?;
        Ok(found.map_or(0, |entry| entry.id))
    }
}

/// An entry's number and when it was stored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Aged {
    #[serde(rename = "_id")]
    sequence: i64,
    stored_at: mongodb::bson::DateTime,
}

#[async_trait]
impl Check for MongoActivityStore {
    async fn check(&self) -> Result<(), Problem> {
        self.database.check().await
    }
}

#[async_trait]
impl ActivityStore for MongoActivityStore {
    async fn append(
        &self,
        activities: Vec<Activity>,
        now: Timestamp,
    ) -> Result<Appended, StoreError> {
        Ok(append::append(self, activities, now).await?)
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        Ok(list::page(self, query).await?)
    }

    async fn newest(&self) -> Result<u64, StoreError> {
        Ok(self.end(-1).await?)
    }

    /// Deletes a prefix of the log: up to the first entry that is young enough to be
    /// kept, so that what is kept stays without gaps even where clocks disagree.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let newest = list::number(self.end(-1).await?);
        let entries = self.entries.clone_with_type::<Aged>();
        let find = entries
            .find(doc! { "_id": { "$lt": newest } })
            .sort(doc! { "_id": 1 })
            .limit(list::number(limit as u64))
            .projection(doc! { "_id": 1, "storedAt": 1 });
        let oldest: Vec<Aged> = bounded(async { find.await?.try_collect().await }).await?;
        let old = |entry: &&Aged| entry.stored_at < to_bson(before);
        let Some(last) = oldest.iter().take_while(old).last() else {
            return Ok(0);
        };
        // By the primary key, that is from the oldest on: what a crash leaves of them is
        // the end of the prefix.
        let delete = self
            .entries
            .delete_many(doc! { "_id": { "$lte": last.sequence } });
        let result = bounded(delete.into_future()).await?;
        Ok(usize::try_from(result.deleted_count).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mongo::testing::Scratch;

    use super::*;
    use crate::store::activity::contract;

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let opened = MongoActivityStore::open(scratch.client(), scratch.name()).await;
        let store: Arc<dyn ActivityStore> = Arc::new(opened.unwrap());
        // It keeps nothing in the process: a clone is as good as another replica's.
        (scratch, move || store.clone())
    });
}
