//! Incidents in MongoDB: a document for each, what is searched by in fields of its own,
//! the whole as JSON.

use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{DateTime, Document, doc},
};
use serde::{Deserialize, Serialize};
use slipway_mesh::{
    page::Page,
    store::mongo::{Database, Index, StorageError, bounded, malformed, to_bson},
};

use super::{IncidentKey, IncidentStore};
use crate::{
    incident::{Incident, State},
    store::StoreError,
};

const COLLECTION: &str = "incidents";

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

const FINGERPRINT: &str = "fingerprint";

/// What it needs of the database.
pub(crate) const INDEXES: &[Index] = &[
    Index::on(COLLECTION, FINGERPRINT, &[("fingerprint", 1)]).unique(),
    Index::on(COLLECTION, "by_time", &[("lastSeen", -1), ("_id", -1)]),
    Index::on(
        COLLECTION,
        "by_state",
        &[("state", 1), ("lastSeen", -1), ("_id", -1)],
    ),
    Index::on(COLLECTION, "owing", &[("owing", 1)]).having("owing"),
];

/// The MongoDB backend. It keeps nothing in the process.
#[derive(Debug, Clone)]
pub(crate) struct MongoIncidentStore {
    incidents: Collection<IncidentDocument>,
}

impl MongoIncidentStore {
    /// The incidents in `database`, which has [`INDEXES`].
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            incidents: database.collection(COLLECTION),
        }
    }

    async fn select(
        &self,
        condition: Document,
        order: Document,
        limit: u32,
    ) -> Result<Vec<Incident>, StorageError> {
        let find = self
            .incidents
            .find(condition)
            .sort(order)
            .limit(limit.into());
        let found: Vec<IncidentDocument> =
            bounded(async { find.await?.try_collect().await }).await?;
        found.iter().map(IncidentDocument::read).collect()
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IncidentDocument {
    #[serde(rename = "_id")]
    id: String,
    schema: i32,
    fingerprint: String,
    revision: i64,
    state: String,
    last_seen: DateTime,
    /// Whether silence does not end it.
    lasts: bool,
    /// There if somebody has yet to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owing: Option<bool>,
    /// JSON.
    incident: String,
}

impl IncidentDocument {
    fn of(incident: &Incident) -> Result<Self, StorageError> {
        Ok(Self {
            id: incident.id.to_string(),
            schema: SCHEMA,
            fingerprint: incident.fingerprint.clone(),
            revision: i64::try_from(incident.revision).map_err(malformed)?,
            state: incident.state.as_str().to_owned(),
            last_seen: to_bson(incident.last_seen),
            lasts: incident.lasts,
            owing: incident.is_owing().then_some(true),
            incident: serde_json::to_string(incident).map_err(malformed)?,
        })
    }

    fn read(&self) -> Result<Incident, StorageError> {
        serde_json::from_str(&self.incident).map_err(malformed)
    }
}

#[async_trait]
impl IncidentStore for MongoIncidentStore {
    async fn find(&self, fingerprint: &str) -> Result<Option<Incident>, StoreError> {
        let find = self.incidents.find_one(doc! { "fingerprint": fingerprint });
        let found = bounded(find.into_future()).await?;
        Ok(found.map(|found| found.read()).transpose()?)
    }

    async fn insert(&self, incident: &Incident) -> Result<bool, StoreError> {
        let document = IncidentDocument::of(incident)?;
        loop {
            let insert = self.incidents.insert_one(&document);
            match bounded(insert.into_future()).await {
                Ok(_) => return Ok(true),
                Err(error) if error.duplicate_key() == Some(FINGERPRINT) => return Ok(false),
                Err(error) if error.gave_way() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn save(&self, incident: &Incident) -> Result<bool, StoreError> {
        let document = IncidentDocument::of(incident)?;
        let before = document.revision - 1;
        loop {
            let replace = self
                .incidents
                .replace_one(doc! { "_id": &document.id, "revision": before }, &document);
            match bounded(replace.into_future()).await {
                Ok(replaced) => return Ok(replaced.matched_count == 1),
                Err(error) if error.gave_way() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn list(
        &self,
        state: Option<State>,
        after: Option<IncidentKey>,
        limit: u32,
    ) -> Result<Page<Incident, IncidentKey>, StoreError> {
        let order = doc! { "lastSeen": -1, "_id": -1 };
        let found = self.select(listed(state, after), order, limit + 1).await?;
        Ok(Page::from_overfetch(found, limit, |last| {
            (last.last_seen, last.id)
        }))
    }

    async fn owing(&self, limit: u32) -> Result<Vec<Incident>, StoreError> {
        let condition = doc! { "owing": { "$exists": true, "$eq": true } };
        Ok(self.select(condition, doc! { "owing": 1 }, limit).await?)
    }

    async fn silent(&self, before: Timestamp, limit: u32) -> Result<Vec<Incident>, StoreError> {
        let condition = doc! {
            "state": State::Open.as_str(), "lastSeen": { "$lt": to_bson(before) }, "lasts": false,
        };
        let order = doc! { "lastSeen": -1, "_id": -1 };
        Ok(self.select(condition, order, limit).await?)
    }
}

fn listed(state: Option<State>, after: Option<IncidentKey>) -> Document {
    let mut condition = Document::new();
    if let Some(state) = state {
        condition.insert("state", state.as_str());
    }
    if let Some((time, id)) = after {
        let time = to_bson(time);
        condition.insert("lastSeen", doc! { "$lte": time });
        condition.insert(
            "$or",
            [
                doc! { "lastSeen": { "$lt": time } },
                doc! { "_id": { "$lt": id.to_string() } },
            ]
            .to_vec(),
        );
    }
    condition
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::store::mongo::testing::Scratch;

    use super::*;
    use crate::store::incidents::contract;

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let database = Database::open(scratch.client(), scratch.name(), INDEXES);
        let store = MongoIncidentStore::new(&database.await.unwrap());
        (scratch, Arc::new(store))
    });
}
