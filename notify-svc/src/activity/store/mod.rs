//! Stores the activity log: one document for each entry, whose id is the sequence number. The
//! numbers are assigned as in every [log](crate::store::sequence).

mod list;
mod stored;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_store::{BY_ID, Documents, Index, Query as Part, Write};

use self::stored::EVENT;
pub(crate) use self::stored::StoredEntry;
use super::{Activity, Entry, Filter};
pub use crate::store::sequence::Appended;
use crate::store::{
    StoreError,
    sequence::{Following, Log, place},
};

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Which entries to return.
    pub filter: Filter,
    /// Only numbers greater than this.
    pub after: u64,
    /// Only numbers smaller than this.
    pub before: u64,
    /// Order of the list.
    pub direction: Direction,
    /// Maximum number of entries.
    pub limit: u32,
}

impl Query {
    /// All entries after a number, oldest first.
    #[must_use]
    pub fn following(after: u64, limit: u32) -> Self {
        Self {
            filter: Filter::default(),
            after,
            before: u64::MAX,
            direction: Direction::Ascending,
            limit,
        }
    }

    /// The rest of this query, after a number returned in [`Page::next`].
    #[must_use]
    pub fn continued(mut self, behind: u64) -> Self {
        match self.direction {
            Direction::Ascending => self.after = self.after.max(behind),
            Direction::Descending => self.before = self.before.min(behind),
        }
        self
    }
}

impl fmt::Display for Query {
    /// Everything but the limit. A cursor is valid only for the same text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("activity?")?;
        for wanted in &self.filter.types {
            write!(f, "type={wanted}&")?;
        }
        if let Some(release_id) = self.filter.release_id {
            write!(f, "release={release_id}&")?;
        }
        if let Some(person) = self.filter.person {
            write!(f, "person={person}&")?;
        }
        write!(
            f,
            "after={}&before={}&{:?}",
            self.after, self.before, self.direction
        )
    }
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The entries, in the order of the query. A page may have fewer than the limit although more
    /// follow: its size and the number of entries it examines are limited.
    pub entries: Vec<Entry>,
    /// Where the next page starts, if more may follow.
    pub next: Option<u64>,
    /// The oldest number still stored, 0 when the log is empty.
    pub oldest: u64,
    /// The newest number, 0 when the log is empty.
    pub newest: u64,
}

/// The activity log.
#[derive(Clone)]
pub struct ActivityStore(Documents);

impl ActivityStore {
    /// A store of the log in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// Appends activities in order, stored at `now`. Each gets the number after the highest one,
    /// also when others append at the same time. An activity whose event is already in the log is
    /// skipped.
    ///
    /// # Errors
    /// If the database is unavailable. Some of the activities, from the first on, may have been
    /// appended: retry with all of them.
    pub async fn append(
        &self,
        activities: Vec<Activity>,
        now: Timestamp,
    ) -> Result<Appended, StoreError> {
        AppendedAt(now).append(&self.0, activities).await
    }

    /// The entries after a number, oldest first, at most `limit`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn following(&self, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let part = Part::first(limit, "").above(place(after));
        let found = self.0.list(&BY_ID, &part).await?.into_iter();
        Ok(found.map(|logged: StoredEntry| logged.into()).collect())
    }

    /// The entries of a query, and the oldest and newest numbers of the log.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        // The newest number is read first because it limits the entries. The oldest is read last,
        // so that it includes the effect of pruning during the call.
        let newest = self.newest().await?;
        let found = self.search(query, newest).await?;
        Ok(Page {
            entries: found.items,
            next: found.next,
            oldest: self.end(&Part::first(1, "")).await?,
            newest,
        })
    }

    /// The newest number, 0 when the log is empty.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn newest(&self) -> Result<u64, StoreError> {
        self.end(&Part::last(1, "")).await
    }

    /// How many entries have a greater number: from its two ends, because it has no gaps.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn count_after(&self, sequence: u64) -> Result<u64, StoreError> {
        let newest = self.newest().await?;
        let oldest = self.end(&Part::first(1, "")).await?;
        Ok(newest.saturating_sub(sequence.max(oldest.saturating_sub(1))))
    }

    async fn end(&self, part: &Part) -> Result<u64, StoreError> {
        let found = self.0.summaries::<StoredEntry>(&BY_ID, part).await?;
        Ok(found.first().map_or(0, |found| found.sequence))
    }

    /// Deletes up to `limit` entries that were stored before `before`, starting with the oldest and
    /// stopping at the first younger one, so that the rest has no gaps even if clocks disagree.
    /// Returns how many it deleted. Never deletes the newest entry: the sequence continues after
    /// it.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let newest = self.newest().await?;
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let oldest = Part::first(limit, "").below(place(newest));
        let oldest: Vec<StoredEntry> = self.0.list(&BY_ID, &oldest).await?;
        let old = oldest.iter().take_while(|logged| logged.stored_at < before);
        // In order: after a crash, the remaining old entries are still the first of the log.
        let delete = self.0.write_in_order(old.map(Write::delete).collect());
        let (deleted, _) = delete.await?;
        Ok(deleted)
    }
}

/// The log, to which something is appended at this time.
struct AppendedAt(Timestamp);

#[async_trait]
impl Log for AppendedAt {
    type Item = Activity;
    type Entry = StoredEntry;

    const EVENT: Index = EVENT;

    fn event(activity: &Activity) -> String {
        activity.id.to_string()
    }

    async fn following(
        &self,
        documents: &Documents,
        activities: Vec<Activity>,
    ) -> Result<Following<StoredEntry>, StoreError> {
        let newest = ActivityStore(documents.clone()).newest().await?;
        let entries = (newest + 1..).zip(activities);
        let entries = entries.map(|(number, activity)| StoredEntry::new(number, activity, self.0));
        Ok(Following {
            newest,
            entries: entries.collect(),
        })
    }

    fn item(entry: StoredEntry) -> Activity {
        entry.activity
    }
}
