//! The outbox: events are committed in the same write as the change that caused them, and published
//! afterwards.
//!
//! A store writes events into its outbox within its own write: [`sqlite`] into a table, [`mongo`]
//! into the changed document. After the commit it wakes the [`Publisher`] of its process, which
//! publishes the queue of that aggregate from its head and removes the events that the bus has
//! acknowledged. The publisher of every replica also sweeps: it publishes events that are
//! [`OVERDUE`], because the process that committed them has crashed.
//!
//! An event that the bus refuses for good is an incident. It stays in the store, and later events
//! in its aggregate's queue wait for it; all other queues continue.
//!
//! There are no leases: in the worst case, two publishers publish an event twice. Consumers
//! deduplicate by event id, and first occurrences stay in order, because each publisher starts at
//! the head.

pub mod mongo;
mod publisher;
mod sending;
pub mod sqlite;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use rand::seq::SliceRandom as _;
use tokio::sync::Notify;
use uuid::Uuid;

pub use self::publisher::Publisher;
use crate::StoreError;
use slipway_bus::Record;

/// Events older than this are published by any replica.
pub const OVERDUE: Duration = Duration::from_secs(3);

/// Where a store keeps its events until they are published. An aggregate is identified by its id.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// Reads events of these aggregates, at most `limit`; those of each aggregate from its first
    /// one on, in commit order.
    ///
    /// # Errors
    /// If the database is unavailable.
    async fn pending(&self, aggregates: &[Uuid], limit: usize) -> Result<Vec<Pending>, StoreError>;

    /// Finds at most `limit` aggregates with events from before `before`, without those in
    /// `except`, and the ones with the oldest events first.
    ///
    /// # Errors
    /// If the database is unavailable.
    async fn overdue(
        &self,
        before: Timestamp,
        except: &[Uuid],
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError>;

    /// Removes published events.
    ///
    /// # Errors
    /// If the database is unavailable.
    async fn remove(&self, published: &[Pending]) -> Result<(), StoreError>;

    /// The waiting events.
    ///
    /// # Errors
    /// If the database is unavailable.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// The number of waiting events.
    ///
    /// # Errors
    /// If the database is unavailable.
    async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.backlog().await?.count)
    }
}

/// The waiting events of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// How many wait.
    pub count: u64,
    /// When the oldest one was committed; `None` if none waits.
    pub oldest: Option<Timestamp>,
}

impl Backlog {
    /// `oldest` is the id of the oldest event.
    fn new(count: u64, oldest: Option<&str>) -> Self {
        let oldest = oldest.and_then(|id| id.parse::<Uuid>().ok());
        Self {
            count,
            oldest: oldest.and_then(time_of),
        }
    }
}

/// An event that is waiting to be published.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The aggregate of the event.
    pub aggregate: Uuid,
    /// Its position in the store.
    pub place: OutboxPosition,
    /// The record to publish.
    pub record: Record,
}

/// The position of an event in a store. Only the store that wrote it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxPosition(String);

/// Tells the publisher of this process which aggregates have new events.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Committed>);

#[derive(Debug, Default)]
struct Committed {
    aggregates: Mutex<BTreeSet<Uuid>>,
    some: Notify,
}

impl Wake {
    /// Call this after committing events of `aggregate`.
    pub fn wake(&self, aggregate: Uuid) {
        self.0.aggregates.lock().insert(aggregate);
        self.0.some.notify_one();
    }

    /// In random order: otherwise replicas that commit to the same aggregates, and whose bus
    /// becomes available at the same time, would all publish the same ones in parallel.
    fn take(&self) -> Vec<Uuid> {
        let taken = std::mem::take(&mut *self.0.aggregates.lock());
        let mut taken: Vec<_> = taken.into_iter().collect();
        taken.shuffle(&mut rand::rng());
        taken
    }
}

/// The time in an id.
fn time_of(id: Uuid) -> Option<Timestamp> {
    let millis = i64::try_from(id.as_u128() >> 80).ok()?;
    Timestamp::from_millisecond(millis).ok()
}

/// The smallest id that an event of this time can have: ids sort by time.
fn first_id(at: Timestamp) -> Uuid {
    let millis = u128::try_from(at.as_millisecond()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}
