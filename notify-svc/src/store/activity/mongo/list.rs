//! Reading the log in MongoDB.

use mongodb::bson::{Document, doc};
use slipway_mesh::store::mongo::StorageError;

use super::MongoActivityStore;
use crate::{
    activity::{Entry, Filter, TypePattern},
    store::{
        activity::{Direction, Page, Query},
        search::Search,
    },
};

/// A number as BSON compares it: no entry has one beyond its range.
pub(super) fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// The newest number is read first and bounds the entries; the oldest is read last: what
/// is pruned meanwhile is known to be gone.
pub(super) async fn page(store: &MongoActivityStore, query: &Query) -> Result<Page, StorageError> {
    let newest = store.end(-1).await?;
    let id = |entry: &Entry| entry.sequence;
    let weight = |entry: &Entry| entry.activity.weight();
    let found = search(query, newest)
        .page(&store.entries, id, weight)
        .await?;
    Ok(Page {
        entries: found.items,
        next: found.next,
        oldest: store.end(1).await?,
        newest,
    })
}

fn search(query: &Query, newest: u64) -> Search {
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
    let range = doc! {
        "$gt": number(query.after), "$lt": number(query.before), "$lte": number(newest),
    };
    let order = match query.direction {
        Direction::Ascending => 1,
        Direction::Descending => -1,
    };
    Search::new(range, conditions, order, query.limit)
}

fn of_type(wanted: &TypePattern) -> Document {
    match wanted {
        TypePattern::Exact(event_type) => doc! { "type": event_type },
        TypePattern::Family(family) => doc! { "family": family },
    }
}
