//! What the activity log needs of a database: the trait, its terms, and the tests every
//! backend passes.

pub(super) mod mongo;
pub(super) mod sqlite;

#[cfg(test)]
pub(crate) mod contract;

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_runtime::life::Check;

pub(crate) use mongo::MongoActivityStore;
pub(crate) use sqlite::SqliteActivityStore;

use super::StoreError;
use crate::activity::{Activity, Entry, Filter};

/// The activity log.
#[async_trait]
pub trait ActivityStore: Check {
    /// Appends what happened, in order. Each activity gets the number after the highest
    /// one, whoever else appends at the same time; one whose event is in the log already
    /// is passed over. `now` is when they are stored.
    ///
    /// # Errors
    /// If the database is away. Then it is not known how many of them, from the first
    /// on, were appended: try again with all.
    async fn append(
        &self,
        activities: Vec<Activity>,
        now: Timestamp,
    ) -> Result<Appended, StoreError>;

    /// The entries that a query asks for, and the ends of the log, at one moment.
    ///
    /// # Errors
    /// If the database is away.
    async fn list(&self, query: &Query) -> Result<Page, StoreError>;

    /// The newest number, 0 when the log is empty.
    ///
    /// # Errors
    /// If the database is away.
    async fn newest(&self) -> Result<u64, StoreError>;

    /// Deletes, from the oldest on, at most `limit` entries stored before `before`;
    /// returns how many. The newest entry stays, whatever its age: the sequence goes on
    /// behind it.
    ///
    /// # Errors
    /// If the database is away.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;
}

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
