//! What users want, in MongoDB: a document for each who has ever chosen, by the user's id.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{DateTime, doc},
};
use serde::{Deserialize, Serialize};
use slipway_mesh::{
    life::{Check, Problem},
    store::mongo::{Database, StorageError, bounded, from_bson, malformed, to_bson},
};
use uuid::Uuid;

use super::{Chosen, PreferenceStore};
use crate::{preferences::Preferences, store::StoreError};

const PREFERENCES: &str = "preferences";

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// The MongoDB backend. It keeps nothing in the process.
#[derive(Debug, Clone)]
pub(crate) struct MongoPreferenceStore {
    database: Database,
    preferences: Collection<PreferenceDocument>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreferenceDocument {
    /// The user's id.
    #[serde(rename = "_id")]
    id: String,
    schema: i32,
    revision: i64,
    chosen: Preferences,
    at: DateTime,
}

impl MongoPreferenceStore {
    /// The preferences in `database`. Everything is found by `_id`.
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            preferences: database.collection(PREFERENCES),
            database: database.clone(),
        }
    }

    async fn read(&self, user: Uuid) -> Result<Chosen, StorageError> {
        let find = self.preferences.find_one(doc! { "_id": user.to_string() });
        let found = bounded(find.into_future()).await?;
        found.map_or_else(|| Ok(Chosen::never()), Chosen::try_from)
    }

    /// Stores a choice that follows the one of revision `before`; whether nobody else was
    /// faster.
    async fn replace(&self, document: &PreferenceDocument) -> Result<bool, StorageError> {
        let before = document.revision - 1;
        let stored = if before == 0 {
            let insert = self.preferences.insert_one(document);
            bounded(insert.into_future()).await.map(|_| true)
        } else {
            let still = doc! { "_id": &document.id, "revision": before };
            let replace = self.preferences.replace_one(still, document);
            let replaced = bounded(replace.into_future()).await;
            replaced.map(|replaced| replaced.matched_count == 1)
        };
        match stored {
            Err(error) if error.gave_way() || error.duplicate_key().is_some() => Ok(false),
            stored => stored,
        }
    }

    async fn try_to_choose(
        &self,
        user: Uuid,
        preferences: Preferences,
        expected: Option<u64>,
        at: Timestamp,
    ) -> Result<Option<Chosen>, StorageError> {
        loop {
            let before = self.read(user).await?.revision;
            if expected.is_some_and(|expected| expected != before) {
                return Ok(None);
            }
            let document = PreferenceDocument {
                id: user.to_string(),
                schema: SCHEMA,
                revision: i64::try_from(before + 1).map_err(malformed)?,
                chosen: preferences.clone(),
                at: to_bson(at),
            };
            if self.replace(&document).await? {
                return Chosen::try_from(document).map(Some);
            }
        }
    }
}

#[async_trait]
impl Check for MongoPreferenceStore {
    async fn check(&self) -> Result<(), Problem> {
        self.database.check().await
    }
}

#[async_trait]
impl PreferenceStore for MongoPreferenceStore {
    async fn of(&self, user: Uuid) -> Result<Chosen, StoreError> {
        Ok(self.read(user).await?)
    }

    async fn of_all(&self, users: &[Uuid]) -> Result<HashMap<Uuid, Preferences>, StoreError> {
        let ids: Vec<_> = users.iter().map(Uuid::to_string).collect();
        let find = self.preferences.find(doc! { "_id": { "$in": ids } });
        let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let chosen = found.into_iter().map(|document| {
            let user = document.id.parse().map_err(malformed)?;
            Ok::<_, StorageError>((user, document.chosen))
        });
        Ok(chosen.collect::<Result<_, _>>()?)
    }

    async fn choose(
        &self,
        user: Uuid,
        preferences: Preferences,
        expected: Option<u64>,
        at: Timestamp,
    ) -> Result<Option<Chosen>, StoreError> {
        Ok(self.try_to_choose(user, preferences, expected, at).await?)
    }
}

impl TryFrom<PreferenceDocument> for Chosen {
    type Error = StorageError;

    fn try_from(document: PreferenceDocument) -> Result<Self, StorageError> {
        Ok(Self {
            preferences: document.chosen,
            revision: u64::try_from(document.revision).map_err(malformed)?,
            at: Some(from_bson(document.at)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::store::mongo::testing::Scratch;

    use super::*;
    use crate::store::preferences::contract;

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let database = Database::open(scratch.client(), scratch.name(), &[]).await;
        let store: Arc<dyn PreferenceStore> =
            Arc::new(MongoPreferenceStore::new(&database.unwrap()));
        (scratch, move || store.clone())
    });
}
