//! Lists the log by a filter: the most selective condition chooses the index, the others are
//! checked on each entry it returns.

use slipway_rpc::page::Page;
use slipway_store::{BY_ID, Index, Query as Part, StoreError as DocumentError};

use super::{
    ActivityStore, Direction, Query,
    stored::{BY_FAMILY, BY_PERSON, BY_RELEASE, BY_TYPE, Found, StoredEntry},
};
use crate::{
    activity::{Entry, Filter, TypePattern},
    store::{StoreError, search::Search, sequence::place},
};

/// Number of entries to read at a time when the filter may reject some of them.
const READ: u32 = 500;

/// Size of the first part of the log that is searched.
const FIRST_PART: u64 = 1_000;

/// Factor by which each part is larger than the previous one.
const GROWTH: u64 = 4;

impl ActivityStore {
    /// The page of a query, among the entries up to `newest`.
    pub(super) async fn search(
        &self,
        query: &Query,
        newest: u64,
    ) -> Result<Page<Entry, u64>, StoreError> {
        let filter = &query.filter;
        let search = Search {
            limit: query.limit,
            read: READ,
            place: &|found: &Found| found.sequence,
            admits: &|found: &Found| {
                filter.admits_type(&found.event_type) && filter.admits_release(found.release_id)
            },
            weight: &|found: &Found| found.weight,
        };
        let keys = &keys(filter);
        let read = |limit, last: Option<u64>| {
            let query = query.clone();
            let rest = match last {
                Some(last) => query.continued(last),
                None => query,
            };
            async move { self.found(keys, &rest, newest, limit).await }
        };
        let page = search.page(read).await?;
        let ids = page.items.iter().map(|found| place(found.sequence));
        let ids: Vec<_> = ids.collect();
        let logged = self.0.get_many::<StoredEntry>(&ids).await?.into_iter();
        let mut entries: Vec<_> = logged.map(Entry::from).collect();
        query.direction.sort(&mut entries, |entry| entry.sequence);
        Ok(Page {
            items: entries,
            next: page.next,
        })
    }

    /// The first entries that these index keys return.
    ///
    /// Searches the log in parts, each larger than the previous one: some servers sort everything
    /// an index returns before they return the first entry, and this way they sort only one part.
    async fn found(
        &self,
        keys: &[(&Index, String)],
        query: &Query,
        newest: u64,
        limit: u32,
    ) -> Result<Vec<Found>, DocumentError> {
        let first = query.after.saturating_add(1);
        let last = query.before.saturating_sub(1).min(newest);
        let mut found = Vec::new();
        for part in parts(first, last, query.direction) {
            let left = limit as usize - found.len();
            let mut more = Vec::new();
            for (index, key) in keys {
                let left = u32::try_from(left).unwrap_or(u32::MAX);
                let part = query.direction.part(left, key, part);
                more.extend(self.0.summaries::<StoredEntry>(index, &part).await?);
            }
            // An entry may match several keys.
            query.direction.sort(&mut more, |found| found.sequence);
            more.dedup_by_key(|found| found.sequence);
            found.extend(more.into_iter().take(left));
            if found.len() == limit as usize {
                break;
            }
        }
        Ok(found)
    }
}

impl Direction {
    fn part(self, limit: u32, key: &str, (first, last): (u64, u64)) -> Part {
        let part = match self {
            Self::Ascending => Part::first(limit, key),
            Self::Descending => Part::last(limit, key),
        };
        part.above(place(first.saturating_sub(1)))
            .below(place(last.saturating_add(1)))
    }

    fn sort<T>(self, found: &mut [T], sequence: impl Fn(&T) -> u64) {
        found.sort_unstable_by_key(sequence);
        if self == Self::Descending {
            found.reverse();
        }
    }
}

/// The index keys that return the entries of the filter, each with its index.
fn keys(filter: &Filter) -> Vec<(&'static Index, String)> {
    if let Some(person) = filter.person {
        vec![(&BY_PERSON, person.to_string())]
    } else if let Some(release) = filter.release_id {
        vec![(&BY_RELEASE, release.to_string())]
    } else if filter.types.is_empty() {
        vec![(&BY_ID, String::new())]
    } else {
        filter.types.iter().map(of_type).collect()
    }
}

fn of_type(wanted: &TypePattern) -> (&'static Index, String) {
    match wanted {
        TypePattern::Exact(event_type) => (&BY_TYPE, event_type.clone()),
        TypePattern::Family(family) => (&BY_FAMILY, family.clone()),
    }
}

/// Splits the log from `first` to `last` into parts, in the order of the list.
fn parts(mut first: u64, mut last: u64, direction: Direction) -> impl Iterator<Item = (u64, u64)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_adjacent_and_grow_in_the_order_of_the_list() {
        let of = |first, last, direction| parts(first, last, direction).collect::<Vec<_>>();
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
