//! Saved templates in MongoDB: a document for each type, with the versions that are kept
//! inside, the oldest first. So saving is one write, on the number it follows.
//!
//! Each of administrators' own types has a slot, of which there are [`OWN_TYPES`]; a unique
//! index gives none to two. So there are never more types, whoever saves at the same time.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{DateTime, Document, doc, serialize_to_bson},
};
use rand::seq::IteratorRandom as _;
use serde::{Deserialize, Serialize};
use slipway_mesh::{
    life::{Check, Problem},
    store::mongo::{Database, Index, StorageError, bounded, from_bson, malformed, to_bson},
};
use slipway_proto::events::UserRef;

use super::{Head, OWN_TYPES, Saved, TemplateStore, VERSIONS_KEPT};
use crate::{store::StoreError, templates::Version};

const TEMPLATES: &str = "templates";

/// The index that gives each slot once.
const ONE_SLOT: &str = "one_slot";

/// Its indexes.
pub(crate) const INDEXES: &[Index] = &[Index::on(TEMPLATES, ONE_SLOT, &[("slot", 1)])
    .unique()
    .having("slot")];

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// The MongoDB backend. It keeps nothing in the process.
#[derive(Debug, Clone)]
pub(crate) struct MongoTemplateStore {
    database: Database,
    templates: Collection<TypeDocument>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TypeDocument {
    /// The type.
    #[serde(rename = "_id")]
    id: String,
    schema: i32,
    /// Of the latest version.
    number: i64,
    /// Of a type of administrators' own that is not deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slot: Option<i64>,
    versions: Vec<VersionDocument>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionDocument {
    number: i64,
    /// As JSON: names of variables are the administrator's, not the database's.
    content: Option<String>,
    author_id: String,
    author_name: String,
    at: DateTime,
}

/// A document as far as it tells how far a type has come.
#[derive(Debug, Deserialize)]
struct HeadDocument {
    #[serde(rename = "_id")]
    id: String,
    number: i64,
}

/// The slot of a type.
#[derive(Debug, Deserialize)]
struct SlotDocument {
    #[serde(rename = "_id")]
    id: String,
    slot: i64,
}

impl MongoTemplateStore {
    /// The templates in `database`, which has [`INDEXES`]. They are found by `_id`.
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            templates: database.collection(TEMPLATES),
            database: database.clone(),
        }
    }

    /// The types that `condition` finds, by name, each with what `versions` selects.
    async fn find(
        &self,
        condition: Document,
        versions: Document,
    ) -> Result<Vec<TypeDocument>, StorageError> {
        let find = self
            .templates
            .find(condition)
            .sort(doc! { "_id": 1 })
            .projection(doc! { "versions": versions });
        bounded(async { find.await?.try_collect().await }).await
    }

    /// A slot for a type: the one it has, or any that is free, so that types which are saved
    /// at the same time seldom want the same; `None` if there is none.
    async fn slot(&self, kind: &str) -> Result<Option<i64>, StorageError> {
        let documents = self.templates.clone_with_type::<SlotDocument>();
        let find = documents
            .find(doc! { "slot": { "$exists": true } })
            .projection(doc! { "slot": 1 });
        let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let taken: BTreeMap<_, _> = found.into_iter().map(|one| (one.slot, one.id)).collect();
        let own = taken.iter().find(|(_, id)| *id == kind);
        let slots = 0..i64::try_from(OWN_TYPES).map_err(malformed)?;
        let free = slots.filter(|slot| !taken.contains_key(slot));
        Ok(own
            .map(|(slot, _)| *slot)
            .or_else(|| free.choose(&mut rand::rng())))
    }

    async fn save(&self, version: &Version) -> Result<Saved, StorageError> {
        let slot = match version.is_own() {
            true => match self.slot(&version.kind).await? {
                None => return Ok(Saved::Full),
                slot => slot,
            },
            false => None,
        };
        match self.store(version, slot).await? {
            true => Ok(Saved::Stored),
            false => Ok(Saved::Overtaken),
        }
    }

    async fn store(&self, version: &Version, slot: Option<i64>) -> Result<bool, StorageError> {
        let number = i64::try_from(version.number).map_err(malformed)?;
        let stored = VersionDocument::try_from(version)?;
        if number == 1 {
            let document = TypeDocument {
                id: version.kind.clone(),
                schema: SCHEMA,
                number,
                slot,
                versions: vec![stored],
            };
            let insert = self.templates.insert_one(document);
            return bounded(insert.into_future()).await.map(|_| true);
        }
        let still = doc! { "_id": &version.kind, "number": number - 1 };
        let kept = i64::try_from(VERSIONS_KEPT).map_err(malformed)?;
        let versions = vec![serialize_to_bson(&stored).map_err(malformed)?];
        let mut update = doc! {
            "$set": { "number": number },
            "$push": { "versions": { "$each": versions, "$slice": -kept } },
        };
        match slot {
            Some(slot) => update.insert("$set", doc! { "number": number, "slot": slot }),
            None => update.insert("$unset", doc! { "slot": "" }),
        };
        let update = self.templates.update_one(still, update);
        let updated = bounded(update.into_future()).await?;
        Ok(updated.matched_count == 1)
    }
}

#[async_trait]
impl Check for MongoTemplateStore {
    async fn check(&self) -> Result<(), Problem> {
        self.database.check().await
    }
}

#[async_trait]
impl TemplateStore for MongoTemplateStore {
    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let documents = self.templates.clone_with_type::<HeadDocument>();
        let find = documents
            .find(doc! {})
            .sort(doc! { "_id": 1 })
            .projection(doc! { "number": 1 });
        let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let heads = found.into_iter().map(|found| {
            Ok::<_, StorageError>(Head {
                kind: found.id,
                number: u64::try_from(found.number).map_err(malformed)?,
            })
        });
        Ok(heads.collect::<Result<_, _>>()?)
    }

    async fn latest(&self, kinds: &[String]) -> Result<Vec<Version>, StoreError> {
        let these = doc! { "_id": { "$in": kinds } };
        let found = self.find(these, doc! { "$slice": -1 }).await?;
        Ok(versions(found)?)
    }

    async fn versions(
        &self,
        kind: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError> {
        let kept = i64::try_from(VERSIONS_KEPT).unwrap_or(i64::MAX);
        let found = self.find(doc! { "_id": kind }, doc! { "$slice": -kept });
        let newest_first = versions(found.await?)?.into_iter().rev();
        Ok(newest_first
            .filter(|version| version.number < before)
            .take(limit as usize)
            .collect())
    }

    async fn append(&self, version: Version) -> Result<Saved, StoreError> {
        loop {
            match self.save(&version).await {
                // Tried again: if another was faster, the number shows it.
                Err(error) if error.gave_way() => {}
                // Another type was faster at this slot.
                Err(error) if error.duplicate_key() == Some(ONE_SLOT) => {}
                Err(error) if error.duplicate_key().is_some() => return Ok(Saved::Overtaken),
                saved => return Ok(saved?),
            }
        }
    }
}

/// Their versions, in order.
fn versions(documents: Vec<TypeDocument>) -> Result<Vec<Version>, StorageError> {
    let versions = documents.into_iter().flat_map(|document| {
        let kind = document.id;
        let of_kind = move |version: VersionDocument| version.of(kind.clone());
        document.versions.into_iter().map(of_kind)
    });
    versions.collect()
}

impl VersionDocument {
    fn of(self, kind: String) -> Result<Version, StorageError> {
        let content = self.content.map(|text| serde_json::from_str(&text));
        Ok(Version {
            kind,
            number: u64::try_from(self.number).map_err(malformed)?,
            content: content.transpose().map_err(malformed)?,
            author: UserRef {
                id: self.author_id.parse().map_err(malformed)?,
                username: self.author_name,
            },
            at: from_bson(self.at)?,
        })
    }
}

impl TryFrom<&Version> for VersionDocument {
    type Error = StorageError;

    fn try_from(version: &Version) -> Result<Self, StorageError> {
        let content = version.content.as_ref().map(serde_json::to_string);
        Ok(Self {
            number: i64::try_from(version.number).map_err(malformed)?,
            content: content.transpose().map_err(malformed)?,
            author_id: version.author.id.to_string(),
            author_name: version.author.username.clone(),
            at: to_bson(version.at),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::store::mongo::testing::Scratch;

    use super::*;
    use crate::store::templates::contract;

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let database = Database::open(scratch.client(), scratch.name(), INDEXES).await;
        let store: Arc<dyn TemplateStore> = Arc::new(MongoTemplateStore::new(&database.unwrap()));
        (scratch, move || store.clone())
    });
}
