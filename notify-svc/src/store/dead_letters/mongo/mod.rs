//! Dead letters in MongoDB: a document for each, with what was done with it and the record
//! of its replay while that waits to be published.

mod documents;

use std::collections::HashSet;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Binary, doc, serialize_to_bson},
};
use serde::Deserialize;
use slipway_mesh::{
    bus::Record,
    outbox::mongo::{Entry, index as outbox_index},
    page::Page,
    store::mongo::{Database, Index, StorageError, bounded, malformed},
};
use uuid::Uuid;

use self::documents::{ActDocument, LetterDocument, SummaryDocument, identity_of, parse_id};
use super::{DeadLetterStore, identity};
use crate::{
    dead_letter::{Act, DeadLetterId, Filed, Filter, State, Summary},
    store::{
        StoreError,
        search::{Identified, Search, literally},
    },
};

/// Its collection.
pub(crate) const COLLECTION: &str = "deadLetters";

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
        let summaries = self.letters.clone_with_type::<Identified<String>>();
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
        let id = |letter: &Summary| letter.id.to_string();
        let found = search(filter, after, limit)
            .page(&summaries, id, Summary::weight)
            .await?;
        let next = found.next.map(|id: String| parse_id(&id)).transpose()?;
        Ok(Page {
            items: found.items,
            next,
        })
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

/// What a list behind `after` looks for.
fn search(filter: &Filter, after: Option<DeadLetterId>, limit: u32) -> Search {
    let (least, end) = filter.range(after);
    let range = doc! { "$gte": least.to_string(), "$lt": end.to_string() };
    let equal = [
        ("type", filter.event_type.as_deref()),
        ("group", filter.group.as_deref()),
        ("cause", filter.cause.as_deref()),
        ("state", filter.state.map(State::as_str)),
    ];
    let conditions = equal
        .into_iter()
        .filter_map(|(field, wanted)| wanted.map(|wanted| doc! { field: wanted }))
        .collect();
    let search = Search::new(range, conditions, -1, limit)
        .leaving_out(&["payload", "headers", "history", "acts", "outbox"]);
    match &filter.reason {
        Some(part) => search.checking("reason", doc! { "$regex": literally(part) }),
        None => search,
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
        for filter in contract::every_shape_of_filter() {
            let index = match &filter {
                Filter {
                    event_type: Some(_),
                    ..
                } => "by_type",
                Filter { group: Some(_), .. } => "by_group",
                Filter { cause: Some(_), .. } => "by_cause",
                Filter { state: Some(_), .. } => "by_state",
                _ => "_id_",
            };
            for after in [None, Some(DeadLetterId::generate())] {
                for pipeline in search(&filter, after, 50).pipelines() {
                    let list = doc! { "aggregate": COLLECTION, "pipeline": pipeline, "cursor": {} };
                    let used = scratch.indexes(&list).await;
                    assert!(used.iter().eq([index]), "{filter:?}: {used:?}");
                }
            }
        }
    }
}
