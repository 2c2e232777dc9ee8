//! Reading the log in MongoDB.

use mongodb::bson::{Document, doc};
use slipway_mongo::StorageError;

use super::MongoActivityStore;
use crate::{
    activity::{Entry, Filter, TypePattern},
    store::{
        activity::{Direction, Page, Query},
        search::Search,
    },
};

/// Numbers in the part of the log that is looked through first.
const FIRST_PART: u64 = 1_000;

/// How many times larger each part is than the one before.
const GROWTH: u64 = 4;

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

/// What a query looks for among the numbers up to `newest`.
///
/// With one condition it looks through the log in parts, each larger than the one before:
/// so where the server sorts what it finds it sorts about a page, however long the log is.
/// Without a condition the numbers are the order. Of several conditions the candidates are
/// counted, in the whole range.
pub(super) fn search(query: &Query, newest: u64) -> Search {
    let first = query.after.saturating_add(1);
    let last = query.before.saturating_sub(1).min(newest);
    let order = match query.direction {
        Direction::Ascending => 1,
        Direction::Descending => -1,
    };
    let conditions = conditions(&query.filter);
    let in_parts = conditions.len() == 1;
    let search = Search::new(range((first, last)), conditions, order, query.limit);
    if in_parts {
        let parts = parts(first, last, query.direction);
        search.in_parts(parts.map(range).collect())
    } else {
        search
    }
}

/// What a filter asks for, the most selective first.
fn conditions(filter: &Filter) -> Vec<Document> {
    let Filter {
        types,
        release_id,
        person,
    } = filter;
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
    conditions
}

/// From the first number to the last.
type Part = (u64, u64);

fn range((first, last): Part) -> Document {
    doc! { "$gte": number(first), "$lte": number(last) }
}

/// The parts of the log from `first` to `last`, in the order of the list.
fn parts(mut first: u64, mut last: u64, direction: Direction) -> impl Iterator<Item = Part> {
    let mut size = FIRST_PART;
    std::iter::from_fn(move || {
        if first > last {
            return None;
        }
        let others = size - 1;
        size = size.saturating_mul(GROWTH);
        Some(match direction {
            Direction::Ascending => {
                let end = last.min(first.saturating_add(others));
                (std::mem::replace(&mut first, end + 1), end)
            }
            Direction::Descending => {
                let end = first.max(last.saturating_sub(others));
                (end, std::mem::replace(&mut last, end - 1))
            }
        })
    })
}

fn of_type(wanted: &TypePattern) -> Document {
    match wanted {
        TypePattern::Exact(event_type) => doc! { "type": event_type },
        TypePattern::Family(family) => doc! { "family": family },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(first: u64, last: u64, direction: Direction) -> Vec<Part> {
        parts(first, last, direction).collect()
    }

    #[test]
    fn parts_join_and_grow_in_the_order_of_the_list() {
        let (up, down) = (Direction::Ascending, Direction::Descending);
        let ascending = [(11, 1_010), (1_011, 5_010), (5_011, 6_000)];
        assert_eq!(of(11, 6_000, up), ascending);
        let descending = [(5_001, 6_000), (1_001, 5_000), (11, 1_000)];
        assert_eq!(of(11, 6_000, down), descending);
        for direction in [up, down] {
            assert_eq!(of(1, 1, direction), [(1, 1)]);
            assert_eq!(of(1, 0, direction), []);
            assert_eq!(of(u64::MAX, 7, direction), []);
        }
    }
}
