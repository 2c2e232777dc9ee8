//! Reading the log in MongoDB: candidates from one index, in the order asked for.
//!
//! As in SQLite, the most selective condition chooses the index, the others are checked
//! on the candidates, and a bounded number of candidates is examined for a page.

use futures::TryStreamExt as _;
use mongodb::{
    Cursor,
    bson::{Document, doc},
};
use slipway_mesh::store::mongo::{StorageError, bounded};

use super::{MongoActivityStore, Numbered, documents::EntryDocument};
use crate::{
    activity::{Entry, Filter, TypePattern},
    store::{
        EXAMINED, PAGE_WEIGHT,
        activity::{Direction, Page, Query},
    },
};

/// Entries fetched at a time: a page may end early by its weight.
const FETCHED: u32 = 100;

/// A number as BSON compares it: no entry has one beyond its range.
pub(super) fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// The newest number is read first and bounds the entries; the oldest is read last: what
/// is pruned meanwhile is known to be gone.
pub(super) async fn page(store: &MongoActivityStore, query: &Query) -> Result<Page, StorageError> {
    let newest = store.end(-1).await?;
    let conditions = Conditions::of(query, newest);
    let found = store
        .entries
        .aggregate(conditions.pipeline(query))
        .batch_size(FETCHED)
        .with_type::<EntryDocument>();
    let (entries, more) =
        bounded(async { Ok(fill(found.await?, query.limit as usize).await) }).await??;
    let next = if more {
        entries.last().map(|entry| entry.sequence)
    } else {
        conditions.examined(store, query).await?
    };
    Ok(Page {
        entries,
        next,
        oldest: store.end(1).await?,
        newest,
    })
}

/// The entries of a page, and whether there are more.
async fn fill(
    mut found: Cursor<EntryDocument>,
    limit: usize,
) -> Result<(Vec<Entry>, bool), StorageError> {
    let (mut entries, mut weight) = (Vec::new(), 0);
    while let Some(document) = found.try_next().await? {
        if entries.len() == limit || weight > PAGE_WEIGHT {
            return Ok((entries, true));
        }
        let entry = Entry::try_from(document)?;
        weight += entry.activity.weight();
        entries.push(entry);
    }
    Ok((entries, false))
}

/// The conditions of a query.
pub(super) struct Conditions {
    /// What an index is searched for.
    candidates: Document,
    /// What is checked on what it yields; empty if that is nothing.
    checked: Document,
}

impl Conditions {
    pub(super) fn of(query: &Query, newest: u64) -> Self {
        let Filter {
            types,
            release_id,
            person,
        } = &query.filter;
        let mut conditions = Vec::new();
        if let Some(person) = person {
            conditions.push(doc! { "people": person.to_string() });
        }
        if let Some(release_id) = release_id {
            conditions.push(doc! { "releaseId": release_id.to_string() });
        }
        if !types.is_empty() {
            conditions.push(doc! { "$or": types.iter().map(of_type).collect::<Vec<_>>() });
        }
        let range = doc! { "_id": {
            "$gt": number(query.after), "$lt": number(query.before), "$lte": number(newest),
        } };
        let mut conditions = conditions.into_iter();
        let mut candidates = conditions.next().unwrap_or_default();
        candidates.extend(range);
        let mut checked = Document::new();
        checked.extend(conditions.flatten());
        Self {
            candidates,
            checked,
        }
    }

    /// The stages that find the entries of a page, and one more.
    pub(super) fn pipeline(&self, query: &Query) -> Vec<Document> {
        let mut stages = vec![
            doc! { "$match": self.candidates.clone() },
            doc! { "$sort": order(query) },
        ];
        if !self.checked.is_empty() {
            stages.push(doc! { "$limit": EXAMINED as i64 });
            stages.push(doc! { "$match": self.checked.clone() });
        }
        stages.push(doc! { "$limit": i64::from(query.limit) + 1 });
        stages
    }

    /// The last of the candidates that were examined, if there are others behind it.
    async fn examined(
        &self,
        store: &MongoActivityStore,
        query: &Query,
    ) -> Result<Option<u64>, StorageError> {
        if self.checked.is_empty() {
            return Ok(None);
        }
        let entries = store.entries.clone_with_type::<Numbered>();
        let find = entries
            .find(self.candidates.clone())
            .sort(order(query))
            .skip(EXAMINED as u64 - 1)
            .limit(2)
            .projection(doc! { "_id": 1 });
        let found: Vec<Numbered> = bounded(async { find.await?.try_collect().await }).await?;
        match found.as_slice() {
            [last, _] => Ok(Some(last.sequence)),
            _ => Ok(None),
        }
    }
}

fn of_type(wanted: &TypePattern) -> Document {
    match wanted {
        TypePattern::Exact(event_type) => doc! { "type": event_type },
        TypePattern::Family(family) => doc! { "family": family },
    }
}

fn order(query: &Query) -> Document {
    match query.direction {
        Direction::Ascending => doc! { "_id": 1 },
        Direction::Descending => doc! { "_id": -1 },
    }
}
