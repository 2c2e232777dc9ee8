//! Tallies in MongoDB: a document for each.

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{DateTime, doc, serialize_to_bson},
};
use serde::{Deserialize, Serialize};
use slipway_mesh::store::mongo::{
    Database, Index, StorageError, bounded, from_bson, malformed, to_bson,
};

use super::TallyStore;
use crate::{
    notification::{Tally, gathering::Counted},
    store::{StoreError, search::Identified},
};

const COLLECTION: &str = "tallies";

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// How many are stored at the same time.
const STORED_AT_ONCE: usize = 16;

/// Its indexes.
pub(crate) const INDEXES: &[Index] = &[Index::on(COLLECTION, "by_change", &[("changedAt", 1)])];

/// The MongoDB backend. It keeps nothing in the process.
#[derive(Debug, Clone)]
pub(crate) struct MongoTallyStore {
    tallies: Collection<TallyDocument>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TallyDocument {
    #[serde(rename = "_id")]
    key: String,
    schema: i32,
    revision: i64,
    mails: Vec<MailDocument>,
    gathers_until: Option<DateTime>,
    changed_at: DateTime,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct MailDocument {
    id: String,
    at: DateTime,
}

impl MongoTallyStore {
    /// The tallies in `database`, which has [`INDEXES`].
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            tallies: database.collection(COLLECTION),
        }
    }

    async fn save_one(&self, tally: Tally) -> Result<bool, StorageError> {
        let document = TallyDocument::try_from(&tally)?;
        loop {
            let saved = if document.revision == 1 {
                let insert = self.tallies.insert_one(&document);
                bounded(insert.into_future()).await.map(|_| true)
            } else {
                let before = doc! { "_id": &document.key, "revision": document.revision - 1 };
                let update = doc! { "$set": {
                    "revision": document.revision,
                    "mails": serialize_to_bson(&document.mails).map_err(malformed)?,
                    "gathersUntil": document.gathers_until,
                    "changedAt": document.changed_at,
                } };
                let update = self.tallies.update_one(before, update);
                let updated = bounded(update.into_future()).await;
                updated.map(|updated| updated.matched_count == 1)
            };
            match saved {
                Ok(saved) => return Ok(saved),
                Err(error) if error.gave_way() => {}
                Err(error) if error.duplicate_key().is_some() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

#[async_trait]
impl TallyStore for MongoTallyStore {
    async fn find(&self, keys: &[String]) -> Result<Vec<Tally>, StoreError> {
        let find = self.tallies.find(doc! { "_id": { "$in": keys } });
        let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let tallies = found.into_iter().map(Tally::try_from);
        Ok(tallies.collect::<Result<_, _>>()?)
    }

    async fn save(&self, tallies: Vec<Tally>) -> Result<bool, StoreError> {
        let saving = tallies.into_iter().map(|tally| self.save_one(tally));
        let saved = stream::iter(saving).buffer_unordered(STORED_AT_ONCE);
        let all = saved.try_fold(true, async |all, one| Ok(all && one));
        Ok(all.await?)
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let documents = self.tallies.clone_with_type::<Identified<String>>();
        let old = doc! { "changedAt": { "$lt": to_bson(before) } };
        let find = documents
            .find(old.clone())
            .sort(doc! { "changedAt": 1 })
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .projection(doc! { "_id": 1 });
        let found: Vec<Identified<String>> =
            bounded(async { find.await?.try_collect().await }).await?;
        let ids: Vec<_> = found.into_iter().map(|found| found.id).collect();
        // One that has changed meanwhile stays.
        let mut condition = doc! { "_id": { "$in": ids } };
        condition.extend(old);
        let delete = self.tallies.delete_many(condition);
        let deleted = bounded(delete.into_future()).await?;
        Ok(usize::try_from(deleted.deleted_count).unwrap_or(usize::MAX))
    }
}

impl TryFrom<&Tally> for TallyDocument {
    type Error = StorageError;

    fn try_from(tally: &Tally) -> Result<Self, StorageError> {
        let mails = tally.mails.iter().map(|counted| MailDocument {
            id: counted.id.to_string(),
            at: to_bson(counted.at),
        });
        Ok(Self {
            key: tally.key.clone(),
            schema: SCHEMA,
            revision: i64::try_from(tally.revision).map_err(malformed)?,
            mails: mails.collect(),
            gathers_until: tally.gathers_until.map(to_bson),
            changed_at: to_bson(tally.changed_at),
        })
    }
}

impl TryFrom<TallyDocument> for Tally {
    type Error = StorageError;

    fn try_from(document: TallyDocument) -> Result<Self, StorageError> {
        let mails = document.mails.into_iter().map(|mail| {
            Ok(Counted {
                id: mail.id.parse().map_err(malformed)?,
                at: from_bson(mail.at)?,
            })
        });
        Ok(Self {
            key: document.key,
            revision: u64::try_from(document.revision).map_err(malformed)?,
            mails: mails.collect::<Result<_, StorageError>>()?,
            gathers_until: document.gathers_until.map(from_bson).transpose()?,
            changed_at: from_bson(document.changed_at)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::store::mongo::testing::Scratch;

    use super::*;
    use crate::store::tallies::contract;

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let database = Database::open(scratch.client(), scratch.name(), INDEXES).await;
        let store = MongoTallyStore::new(&database.unwrap());
        (scratch, Arc::new(store))
    });

    #[tokio::test]
    async fn what_is_old_is_found_through_an_index() {
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let database = Database::open(scratch.client(), scratch.name(), INDEXES).await;
        let store = MongoTallyStore::new(&database.unwrap());
        store.save(contract::tallies(300)).await.unwrap();
        let command = doc! {
            "find": COLLECTION,
            "filter": { "changedAt": { "$lt": to_bson(contract::at(10)) } },
            "sort": { "changedAt": 1 },
            "limit": 16,
        };
        let used = scratch.indexes(&command).await;
        assert!(used.iter().eq(["by_change"]), "{used:?}");
    }
}
