//! The activity log in a database: a document for each entry, whose id is its number.
//!
//! A writer takes the numbers after the highest one that it reads, and stores its entries in
//! their order. If another writer was faster, a number is taken, and the writer reads again.
//! So the numbers have neither gaps nor repeats, whatever the number of writers; and the
//! event's id is a unique key, which keeps an event from being logged twice.

mod list;
mod stored;

#[cfg(test)]
pub(crate) mod tests;

use std::{collections::HashSet, fmt};

use jiff::Timestamp;
use slipway_runtime::contention::back_off;
use slipway_store::{BY_ID, Documents, Query as Part, Write};

pub(crate) use self::stored::StoredEntry;
use self::stored::{EVENT, place};
use super::{Activity, Entry, Filter};
use crate::store::StoreError;

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// How many activities were not in the log before.
    pub count: u64,
    /// The newest number now.
    pub newest: u64,
}

/// Which way a list goes.
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
    /// Which entries.
    pub filter: Filter,
    /// Only greater numbers.
    pub after: u64,
    /// Only smaller numbers.
    pub before: u64,
    /// In which order.
    pub direction: Direction,
    /// How many at most.
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

    /// The rest of this query, behind a number that [`Page::next`] gave.
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
    /// Everything but the limit: what a cursor is bound to.
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
    /// The entries, in the order asked for. May be fewer than asked for though more
    /// follow: a page has a weight, and a limit to how many entries it examines.
    pub entries: Vec<Entry>,
    /// Where the next page goes on, if more may follow.
    pub next: Option<u64>,
    /// The oldest number kept, 0 when the log is empty.
    pub oldest: u64,
    /// The newest number, 0 when the log is empty.
    pub newest: u64,
}

/// The activity log.
#[derive(Clone)]
pub struct ActivityStore(Documents);

impl ActivityStore {
    /// The log among these documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// Appends what happened, in order. Each activity gets the number after the highest
    /// one, whoever else appends at the same time; one whose event is in the log already
    /// is passed over. `now` is when they are stored.
    ///
    /// # Errors
    /// If the database is away. Then it is not known how many of them, from the first
    /// on, were appended: try again with all.
    pub async fn append(
        &self,
        activities: Vec<Activity>,
        now: Timestamp,
    ) -> Result<Appended, StoreError> {
        let mut seen = HashSet::new();
        let mut waiting = activities;
        waiting.retain(|activity| seen.insert(activity.id));
        let (mut count, mut newest) = (0, self.newest().await?);
        for attempt in 0.. {
            let new = (newest + 1..).zip(waiting);
            let new = new.map(|(sequence, activity)| StoredEntry::new(sequence, activity, now));
            let new: Vec<_> = new.collect();
            let writes = new.iter().map(Write::insert).collect();
            let (done, refused) = self.0.write_in_order(writes).await?;
            count += done as u64;
            newest += done as u64;
            if refused.is_none() {
                break;
            }
            // Others were faster: with the number, or with the event itself.
            back_off(attempt).await;
            let rest = new.into_iter().skip(done).map(|new| new.activity);
            waiting = self.unknown(rest.collect()).await?;
            newest = self.newest().await?;
        }
        Ok(Appended { count, newest })
    }

    /// Those whose events are not in the log.
    async fn unknown(&self, mut activities: Vec<Activity>) -> Result<Vec<Activity>, StoreError> {
        let ids: Vec<_> = activities.iter().map(|one| one.id.to_string()).collect();
        let known = self.0.find_many(&EVENT, &ids).await?.into_iter();
        let known: HashSet<_> = known.map(|known: StoredEntry| known.activity.id).collect();
        activities.retain(|activity| !known.contains(&activity.id));
        Ok(activities)
    }

    /// The entries after a number, oldest first, at most `limit`.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn following(&self, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let part = Part::first(limit, "").above(place(after));
        let found = self.0.list(&BY_ID, &part).await?.into_iter();
        Ok(found.map(|logged: StoredEntry| logged.into()).collect())
    }

    /// The entries that a query asks for, and the ends of the log.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        // First, it bounds the entries; and the oldest is read last: what is pruned
        // meanwhile is known to be gone.
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
    /// If the database is away.
    pub async fn newest(&self) -> Result<u64, StoreError> {
        self.end(&Part::last(1, "")).await
    }

    async fn end(&self, part: &Part) -> Result<u64, StoreError> {
        let found = self.0.summaries::<StoredEntry>(&BY_ID, part).await?;
        Ok(found.first().map_or(0, |found| found.sequence))
    }

    /// Deletes, from the oldest on, at most `limit` entries stored before `before`, up to
    /// the first that is younger: so what is kept has no gaps even where clocks disagree.
    /// Returns how many. The newest entry stays, whatever its age: the sequence goes on
    /// behind it.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let newest = self.newest().await?;
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let oldest = Part::first(limit, "").below(place(newest));
        let oldest: Vec<StoredEntry> = self.0.list(&BY_ID, &oldest).await?;
        let old = oldest.iter().take_while(|logged| logged.stored_at < before);
        // In order: what a crash leaves of them is the end of the prefix.
        let delete = self.0.write_in_order(old.map(Write::delete).collect());
        let (deleted, _) = delete.await?;
        Ok(deleted)
    }
}
