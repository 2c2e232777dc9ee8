//! Events committed in the same write as the change that caused them, and published
//! after.
//!
//! A store writes events into its outbox within its own write: [`sqlite`] into a table,
//! [`mongo`] into the changed document. Who committed wakes the [`Publisher`] of its
//! process, which publishes the queue of that aggregate from its head and removes what
//! the bus has acknowledged. Every replica's publisher also sweeps: it takes what is
//! [`OVERDUE`], because the process that committed it is gone.
//!
//! An event that the bus refuses for good is an incident. It stays in the store, and what
//! stands behind it in its aggregate's queue waits for it; all other queues go on.
//!
//! There are no leases: two publishers can at worst publish an event twice. Consumers
//! deduplicate by event id, and first occurrences stay in order, because each publishes
//! from the head.

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

/// What is older than this is published by any replica.
pub const OVERDUE: Duration = Duration::from_secs(3);

/// Where a store keeps its events until they are published. An aggregate is known by its
/// id.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// Events of these aggregates, at most `limit`; those of each from its first on, in
    /// the order of their commits.
    ///
    /// # Errors
    /// If the database is away.
    async fn pending(&self, aggregates: &[Uuid], limit: usize) -> Result<Vec<Pending>, StoreError>;

    /// Aggregates with events from before `before`, none of `except`, at most `limit`, those
    /// with the oldest first.
    ///
    /// # Errors
    /// If the database is away.
    async fn overdue(
        &self,
        before: Timestamp,
        except: &[Uuid],
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError>;

    /// Removes what has been published.
    ///
    /// # Errors
    /// If the database is away.
    async fn remove(&self, published: &[Pending]) -> Result<(), StoreError>;

    /// How many events wait.
    ///
    /// # Errors
    /// If the database is away.
    async fn count(&self) -> Result<u64, StoreError>;
}

/// An event that waits to be published.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Whose event it is.
    pub aggregate: Uuid,
    /// Where it stands in the store.
    pub place: OutboxPosition,
    /// What to publish.
    pub record: Record,
}

/// Where a store keeps an event. Only the store that wrote it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxPosition(String);

/// Tells the publisher of this process what has been committed.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Committed>);

#[derive(Debug, Default)]
struct Committed {
    aggregates: Mutex<BTreeSet<Uuid>>,
    some: Notify,
}

impl Wake {
    /// There are events of `aggregate` to publish: this process has committed them.
    pub fn wake(&self, aggregate: Uuid) {
        self.0.aggregates.lock().insert(aggregate);
        self.0.some.notify_one();
    }

    /// In no order: replicas that commit to the same aggregates, and whose bus comes back
    /// at the same time, would otherwise publish all of them side by side.
    fn take(&self) -> Vec<Uuid> {
        let taken = std::mem::take(&mut *self.0.aggregates.lock());
        let mut taken: Vec<_> = taken.into_iter().collect();
        taken.shuffle(&mut rand::rng());
        taken
    }
}

/// The first id that an event of this time can have: ids sort by time.
fn first_id(at: Timestamp) -> Uuid {
    let millis = u128::try_from(at.as_millisecond()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}
