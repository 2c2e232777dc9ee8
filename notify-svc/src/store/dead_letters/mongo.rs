//! Dead letters in MongoDB: a document for each, with what was done with it and the record
//! of its replay while that waits to be published.

use std::collections::HashSet;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{Binary, DateTime, Document, doc, serialize_to_bson, spec::BinarySubtype},
};
use serde::{Deserialize, Serialize};
use slipway_mesh::{
    bus::{
        Record,
        consumer::{Attempt, DeadLetter},
    },
    outbox::mongo::{Entry, index as outbox_index},
    page::Page,
    store::mongo::{Database, Index, StorageError, bounded, from_bson, malformed, to_bson},
};
use slipway_proto::events::UserRef;
use uuid::Uuid;

use super::{DeadLetterStore, identity};
use crate::{
    dead_letter::{Act, DeadLetterId, Filed, Filter, State, Summary},
    store::StoreError,
};

/// Its collection.
pub(crate) const COLLECTION: &str = "deadLetters";

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// What it needs of the database.
pub(crate) const INDEXES: &[Index] = &[
    Index::on(COLLECTION, "identity", &[("identity", 1)]).unique(),
    Index::on(COLLECTION, "by_group", &[("group", 1), ("_id", -1)]),
    Index::on(COLLECTION, "by_type", &[("type", 1), ("_id", -1)]).having("type"),
    Index::on(COLLECTION, "by_cause", &[("cause", 1), ("_id", -1)]),
    Index::on(COLLECTION, "by_state", &[("state", 1), ("_id", -1)]),
    Index::on(COLLECTION, "by_origin", &[("replayOf", 1)]).having("replayOf"),
    outbox_index(COLLECTION),
];

/// The MongoDB backend. It keeps nothing in the process.
#[derive(Debug, Clone)]
pub(crate) struct MongoDeadLetterStore {
    letters: Collection<LetterDocument>,
}

impl MongoDeadLetterStore {
    /// The desk in `database`, which has [`INDEXES`].
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            letters: database.collection(COLLECTION),
        }
    }

    /// Those of `letters` that are not filed.
    async fn unknown(&self, letters: Vec<Filed>) -> Result<Vec<Filed>, StorageError> {
        #[derive(Deserialize)]
        struct Known {
            identity: Binary,
        }
        let ids: Vec<_> = letters.iter().map(identity_of).collect();
        let known = self.letters.clone_with_type::<Known>();
        let find = known
            .find(doc! { "identity": { "$in": ids } })
            .projection(doc! { "_id": 0, "identity": 1 });
        let known: Vec<Known> = bounded(async { find.await?.try_collect().await }).await?;
        let mut known: HashSet<_> = known.into_iter().map(|k| k.identity.bytes).collect();
        let new = |letter: &Filed| known.insert(identity(&letter.letter));
        Ok(letters.into_iter().filter(new).collect())
    }

    async fn file_all(&self, letters: Vec<Filed>) -> Result<usize, StorageError> {
        let (mut filed, mut waiting) = (0, self.unknown(letters).await?);
        while !waiting.is_empty() {
            let documents: Vec<_> = waiting.iter().map(LetterDocument::from).collect();
            let insert = self.letters.insert_many(&documents).ordered(true);
            match bounded(insert.into_future()).await {
                Ok(_) => return Ok(filed + documents.len()),
                // Another replica was faster with the next one.
                Err(error) => filed += error.inserted_before_refusal().ok_or(error)?,
            }
            waiting = self.unknown(waiting).await?;
        }
        Ok(filed)
    }

    async fn find(&self, id: DeadLetterId) -> Result<Option<Filed>, StorageError> {
        let find = self
            .letters
            .find_one(doc! { "_id": id.to_string() })
            .projection(doc! { "outbox": 0 });
        let Some(document) = bounded(find.into_future()).await? else {
            return Ok(None);
        };
        let summaries = self.letters.clone_with_type::<IdDocument>();
        let returned = summaries
            .find_one(doc! { "replayOf": id.to_string() })
            .projection(doc! { "_id": 1 });
        let returned = bounded(returned.into_future()).await?;
        let mut filed = document.into_filed()?;
        filed.returned_as = returned.map(|found| parse_id(&found.id)).transpose()?;
        Ok(Some(filed))
    }
}

#[async_trait]
impl DeadLetterStore for MongoDeadLetterStore {
    async fn file(&self, letters: Vec<Filed>) -> Result<usize, StoreError> {
        Ok(self.file_all(letters).await?)
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<DeadLetterId>,
        limit: u32,
    ) -> Result<Page<Summary, DeadLetterId>, StoreError> {
        let summaries = self.letters.clone_with_type::<SummaryDocument>();
        let find = summaries
            .find(listed(filter, after))
            .sort(doc! { "_id": -1 })
            .projection(doc! { "payload": 0, "headers": 0, "history": 0, "acts": 0, "outbox": 0 })
            .limit(i64::from(limit) + 1);
        let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let found = found.into_iter().map(SummaryDocument::into_summary);
        let found = found.collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_overfetch(found, limit, |last| last.id))
    }

    async fn get(&self, id: DeadLetterId) -> Result<Option<Filed>, StoreError> {
        Ok(self.find(id).await?)
    }

    async fn replay(&self, id: DeadLetterId, act: Act, record: Record) -> Result<bool, StoreError> {
        let act = serialize_to_bson(&ActDocument::from(act)).map_err(malformed)?;
        let entry = Entry::new(Uuid::now_v7(), record);
        let entry = serialize_to_bson(&entry).map_err(malformed)?;
        let update = self.letters.update_one(
            doc! { "_id": id.to_string(), "state": State::Waiting.as_str() },
            doc! {
                "$set": { "state": State::Replayed.as_str() },
                "$push": { "acts": act, "outbox": entry },
            },
        );
        Ok(bounded(update.into_future()).await?.matched_count == 1)
    }
}

/// Which dead letters are on a list behind `after`.
fn listed(filter: &Filter, after: Option<DeadLetterId>) -> Document {
    let mut condition = Document::new();
    let equal = [
        ("group", filter.group.as_deref()),
        ("type", filter.event_type.as_deref()),
        ("cause", filter.cause.as_deref()),
        ("state", filter.state.map(State::as_str)),
    ];
    for (field, wanted) in equal {
        if let Some(wanted) = wanted {
            condition.insert(field, wanted);
        }
    }
    if let Some(part) = &filter.reason {
        condition.insert("reason", doc! { "$regex": literally(part) });
    }
    let mut time = Document::new();
    if let Some(from) = filter.from {
        time.insert("$gte", to_bson(from));
    }
    if let Some(to) = filter.to {
        time.insert("$lt", to_bson(to));
    }
    if !time.is_empty() {
        condition.insert("receivedAt", time);
    }
    if let Some(after) = after {
        condition.insert("_id", doc! { "$lt": after.to_string() });
    }
    condition
}

/// A regular expression that matches this text and nothing else.
fn literally(text: &str) -> String {
    let mut pattern = String::new();
    for character in text.chars() {
        if character.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[derive(Debug, Deserialize)]
struct IdDocument {
    #[serde(rename = "_id")]
    id: String,
}

/// What a list reads of a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SummaryDocument {
    #[serde(rename = "_id")]
    id: String,
    received_at: DateTime,
    group: String,
    topic: String,
    event_id: Option<String>,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    subject: Option<String>,
    key: String,
    cause: String,
    reason: String,
    attempts: i64,
    first_failure: Option<DateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replay_of: Option<String>,
    state: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LetterDocument {
    #[serde(flatten)]
    summary: SummaryDocument,
    schema: i32,
    identity: Binary,
    partition: i64,
    offset: i64,
    acts: Vec<ActDocument>,
    headers: Vec<(String, String)>,
    history: Vec<Attempt>,
    payload: Binary,
}

/// An act. Ids are texts in documents.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ActDocument {
    by: PersonDocument,
    at: DateTime,
    edited: Option<String>,
    request: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PersonDocument {
    id: String,
    username: String,
}

impl From<Act> for ActDocument {
    fn from(act: Act) -> Self {
        Self {
            by: PersonDocument {
                id: act.by.id.to_string(),
                username: act.by.username,
            },
            at: to_bson(act.at),
            edited: act.edited,
            request: act.request,
        }
    }
}

impl TryFrom<ActDocument> for Act {
    type Error = StorageError;

    fn try_from(act: ActDocument) -> Result<Self, StorageError> {
        Ok(Self {
            by: UserRef {
                id: act.by.id.parse().map_err(malformed)?,
                username: act.by.username,
            },
            at: from_bson(act.at)?,
            edited: act.edited,
            request: act.request,
        })
    }
}

fn binary(bytes: Vec<u8>) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    }
}

fn identity_of(filed: &Filed) -> Binary {
    binary(identity(&filed.letter))
}

fn parse_id(text: &str) -> Result<DeadLetterId, StorageError> {
    text.parse().map_err(malformed)
}

impl From<&Filed> for LetterDocument {
    fn from(filed: &Filed) -> Self {
        let (summary, letter) = (filed.summary(), &filed.letter);
        Self {
            identity: identity_of(filed),
            schema: SCHEMA,
            partition: letter.partition.into(),
            offset: i64::try_from(letter.offset).unwrap_or(i64::MAX),
            acts: filed.acts.iter().cloned().map(ActDocument::from).collect(),
            headers: letter.record.headers.clone(),
            history: letter.history.clone(),
            payload: binary(letter.record.value.to_vec()),
            summary: SummaryDocument {
                id: summary.id.to_string(),
                received_at: to_bson(summary.received_at),
                group: summary.group,
                topic: summary.topic,
                event_id: summary.event_id,
                event_type: summary.event_type,
                subject: summary.subject,
                key: summary.key,
                cause: summary.cause,
                reason: summary.reason,
                attempts: summary.attempts.into(),
                first_failure: summary.first_failure.map(to_bson),
                replay_of: summary.replay_of.map(|id| id.to_string()),
                state: summary.state.as_str().to_owned(),
            },
        }
    }
}

impl SummaryDocument {
    fn into_summary(self) -> Result<Summary, StorageError> {
        let first_failure: Option<Timestamp> = self.first_failure.map(from_bson).transpose()?;
        Ok(Summary {
            id: parse_id(&self.id)?,
            received_at: from_bson(self.received_at)?,
            group: self.group,
            topic: self.topic,
            event_id: self.event_id,
            event_type: self.event_type,
            subject: self.subject,
            key: self.key,
            cause: self.cause,
            reason: self.reason,
            attempts: self.attempts.try_into().map_err(malformed)?,
            first_failure,
            replay_of: self.replay_of.as_deref().map(parse_id).transpose()?,
            state: State::parse(&self.state).ok_or_else(|| malformed("no such state"))?,
        })
    }
}

impl LetterDocument {
    fn into_filed(self) -> Result<Filed, StorageError> {
        let summary = self.summary.into_summary()?;
        let acts = self.acts.into_iter().map(Act::try_from);
        let acts = acts.collect::<Result<_, _>>()?;
        Ok(Filed {
            id: summary.id,
            received_at: summary.received_at,
            letter: DeadLetter {
                group: summary.group,
                record: Record {
                    topic: summary.topic,
                    key: summary.key,
                    headers: self.headers,
                    value: self.payload.bytes.into(),
                },
                partition: self.partition.try_into().map_err(malformed)?,
                offset: self.offset.try_into().map_err(malformed)?,
                cause: summary.cause,
                reason: summary.reason,
                attempts: summary.attempts,
                history: self.history,
                replay: summary.replay_of.map(|id| id.0),
            },
            state: summary.state,
            acts,
            returned_as: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::{outbox::mongo::MongoOutbox, store::mongo::testing::Scratch};

    use super::*;
    use crate::store::dead_letters::contract;

    async fn database(scratch: &Scratch) -> Database {
        Database::open(scratch.client(), scratch.name(), INDEXES)
            .await
            .unwrap()
    }

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let database = database(&scratch).await;
        let store = MongoDeadLetterStore::new(&database);
        let outbox = MongoOutbox::new(database, &[COLLECTION]);
        (scratch, Arc::new(store), Arc::new(outbox))
    });

    #[tokio::test]
    async fn lists_are_read_through_an_index() {
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let store = MongoDeadLetterStore::new(&database(&scratch).await);
        // Enough that reading all of them would be worse.
        store.file(contract::letters(300)).await.unwrap();
        let database = scratch.client().database(scratch.name());
        for filter in contract::every_shape_of_filter() {
            let condition = listed(&filter, Some(DeadLetterId::generate()));
            let find = doc! {
                "find": COLLECTION, "filter": condition, "sort": { "_id": -1 }, "limit": 51,
            };
            let explain = doc! { "explain": find, "verbosity": "queryPlanner" };
            let plan = database.run_command(explain).await.unwrap().to_string();
            for scan in ["COLLSCAN", "Seq Scan"] {
                assert!(!plan.contains(scan), "{filter:?}: {plan}");
            }
        }
    }
}
