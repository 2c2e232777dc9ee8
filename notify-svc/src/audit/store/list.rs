//! Lists the trail by a filter: the most selective condition chooses the index, the others are
//! checked on each entry that it returns.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_rpc::page::Page;
use slipway_store::{Index, Query, StoreError as DocumentError, by_time};
use uuid::Uuid;

use super::{
    AuditStore,
    stored::{BY_RELEASE, BY_TASK, BY_TIME, BY_TYPE, BY_USER, Found, in_lists},
};
use crate::{
    audit::{Entry, Filter},
    store::{StoreError, search::Search, sequence::place},
};

/// Number of summaries to read at a time when the filter may reject some of them.
const READ: u32 = 500;

/// The place of an entry in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    happened: Timestamp,
    number: u64,
}

impl Place {
    /// Of an entry, in a list by time.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        Self {
            happened: in_lists(entry.happened()),
            number: entry.number,
        }
    }
}

/// Which entries are read, and in which order.
enum Keys {
    /// In the order of the chain.
    Chained(&'static Index, String),
    /// By the time at which it happened, from several lists.
    Timed(&'static Index, Vec<String>),
}

impl AuditStore {
    /// Those that match `filter`, newest first, after `after`. A page may have fewer than `limit`
    /// although more follow: its size and the number of entries it examines are limited.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn list(
        &self,
        filter: &Filter,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Page<Entry, Place>, StoreError> {
        let keys = &keys(filter);
        let search = Search {
            limit,
            read: READ,
            place: &Found::place,
            admits: &|found: &Found| admits(filter, found),
            weight: &|found: &Found| found.weight,
        };
        let read = |limit, last: Option<Place>| {
            let behind = last.or(after);
            async move { self.found(keys, filter, behind, limit).await }
        };
        let page = search.page(read).await?;
        let numbers = page.items.iter().map(|found| found.head.number);
        Ok(Page {
            items: self.entries(numbers).await?,
            next: page.next,
        })
    }

    /// The entries of a release with a greater number than `after`, in the order of the chain, at
    /// most `limit`. The page ends early if they are large.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn history(
        &self,
        release_id: &str,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Page<Entry, u64>, StoreError> {
        let search = Search {
            limit,
            read: READ,
            place: &|found: &Found| found.head.number,
            admits: &|_: &Found| true,
            weight: &|found: &Found| found.weight,
        };
        let read = |limit, last: Option<u64>| {
            let part = Query::first(limit, release_id).behind(last.or(after).map(place));
            async move { self.0.summaries::<Entry>(&BY_RELEASE, &part).await }
        };
        let page = search.page(read).await?;
        let numbers = page.items.iter().map(|found| found.head.number);
        Ok(Page {
            items: self.entries(numbers).await?,
            next: page.next,
        })
    }

    /// The entries with these numbers, in their order.
    async fn entries(&self, numbers: impl Iterator<Item = u64>) -> Result<Vec<Entry>, StoreError> {
        let ids: Vec<_> = numbers.map(place).collect();
        let mut entries = self.0.get_many::<Entry>(&ids).await?;
        let ranks: HashMap<_, _> = ids.iter().zip(0..).collect();
        entries.sort_by_cached_key(|entry| ranks.get(&place(entry.number)).copied());
        Ok(entries)
    }

    /// The last entries before `behind` that the index returns, newest first.
    async fn found(
        &self,
        keys: &Keys,
        filter: &Filter,
        behind: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Found>, DocumentError> {
        let (index, of_index) = match keys {
            Keys::Chained(index, key) => {
                let behind = behind.map(|behind| place(behind.number));
                let part = Query::last(limit, key).behind(behind);
                return self.0.summaries::<Entry>(index, &part).await;
            }
            Keys::Timed(index, keys) => (index, keys),
        };
        let mut found = Vec::new();
        for key in of_index {
            let part = within(filter, behind, Query::last(limit, key));
            found.extend(self.0.summaries::<Entry>(index, &part).await?);
        }
        found.sort_unstable_by_key(|found| std::cmp::Reverse(found.place()));
        found.truncate(limit as usize);
        Ok(found)
    }
}

impl Found {
    fn place(&self) -> Place {
        Place {
            happened: self.happened,
            number: self.head.number,
        }
    }
}

/// The part of a list by time that is in the period and before `behind`.
fn within(filter: &Filter, behind: Option<Place>, part: Query) -> Query {
    let begin = filter.from.map(|from| by_time(from, ""));
    let end = filter.to.map(|to| by_time(to, ""));
    let behind = behind.map(|behind| by_time(behind.happened, place(behind.number)));
    let part = match begin {
        Some(from) => part.above(from),
        None => part,
    };
    match end.into_iter().chain(behind).min() {
        Some(end) => part.below(end),
        None => part,
    }
}

/// Whether the conditions that did not choose the index are met.
fn admits(filter: &Filter, found: &Found) -> bool {
    let is = |wanted: Option<Uuid>, id: &str| wanted.is_none_or(|wanted| id == wanted.to_string());
    let is_of_user = |user: Uuid| found.users.contains(&user.to_string());
    let mut types = filter.types.iter();
    is(filter.release, &found.release_id)
        && filter.user.is_none_or(is_of_user)
        && (filter.types.is_empty() || types.any(|wanted| wanted.matches(&found.event_type)))
        && filter.admits_time(found.happened)
}

/// The lists with the entries of the filter.
fn keys(filter: &Filter) -> Keys {
    if let Some(task) = filter.task {
        Keys::Chained(&BY_TASK, task.to_string())
    } else if let Some(release) = filter.release {
        Keys::Chained(&BY_RELEASE, release.to_string())
    } else if let Some(user) = filter.user {
        Keys::Timed(&BY_USER, vec![user.to_string()])
    } else if filter.types.is_empty() {
        Keys::Timed(&BY_TIME, vec![String::new()])
    } else {
        let types = filter.known_types().map(str::to_owned);
        Keys::Timed(&BY_TYPE, types.collect())
    }
}
