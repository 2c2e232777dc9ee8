//! Events committed in the same write as the change that caused them, and published
//! after.
//!
//! A store writes events into its outbox within its own write: [`sqlite`] into a table,
//! [`mongo`] into the changed document. Who committed wakes the [`Publisher`] of its
//! process, which publishes the queue of that aggregate from its head and removes what
//! the bus has acknowledged. Every replica's publisher also sweeps: it takes what is
//! [`OVERDUE`], because the process that committed it is gone.
//!
//! There are no leases: two publishers can at worst publish an event twice. Consumers
//! deduplicate by event id, and first occurrences stay in order, because each publishes
//! from the head.

pub mod mongo;
pub mod sqlite;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use rand::seq::SliceRandom as _;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    alarm::{self, Kind},
    bus::{Record, SharedBus, consumer::Delay},
    clock::SharedClock,
    life::Background,
    telemetry::metrics as m,
};

/// Events published in one go at most.
const BATCH: usize = 500;

/// Aggregates whose events are published in one go.
const AGGREGATES: usize = 100;

/// Aggregates of a backlog that are published in one go: so few that two replicas, each of
/// which takes some at random, seldom take the same.
const AGGREGATES_OF_BACKLOG: usize = 16;

/// Overdue aggregates that a sweep looks at in one go.
const SAMPLE: usize = 1000;

/// What is older than this is published by any replica.
pub const OVERDUE: Duration = Duration::from_secs(3);

/// What has waited for longer than this is an incident.
const INCIDENT_AFTER: Duration = Duration::from_secs(60);

/// How often a publisher sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Where a store keeps its events until they are published. An aggregate is known by its
/// id.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// Events of these aggregates, at most `limit`; those of each from its first on, in
    /// the order of their commits.
    ///
    /// # Errors
    /// A text for the log.
    async fn pending(&self, aggregates: &[Uuid], limit: usize) -> Result<Vec<Pending>, String>;

    /// Aggregates with events from before `before`, at most `limit`, those with the
    /// oldest first.
    ///
    /// # Errors
    /// A text for the log.
    async fn overdue(&self, before: Timestamp, limit: usize) -> Result<Vec<Uuid>, String>;

    /// Removes what has been published.
    ///
    /// # Errors
    /// A text for the log.
    async fn remove(&self, published: &[Pending]) -> Result<(), String>;

    /// How many events wait.
    ///
    /// # Errors
    /// A text for the log.
    async fn count(&self) -> Result<u64, String>;
}

/// An event that waits to be published.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Where it stands in the store.
    pub place: Place,
    /// What to publish.
    pub record: Record,
}

/// Where a store keeps an event. Only the store that wrote it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(String);

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

/// Publishes one store's outbox.
pub struct Publisher {
    /// The service's name, for metrics and logs.
    pub service: &'static str,
    /// The store.
    pub store: Arc<dyn OutboxStore>,
    /// Where to.
    pub bus: SharedBus,
    /// What wakes it.
    pub wake: Wake,
    /// Tells what is overdue.
    pub clock: SharedClock,
}

impl Publisher {
    /// Publishes in the background until it is told to stop; then once more.
    pub fn spawn(self, background: &Background) {
        let publisher = Arc::new(self);
        background.spawn("outbox", move |stop| {
            let publisher = Arc::clone(&publisher);
            async move { publisher.run(&stop).await }
        });
    }

    async fn run(&self, stop: &CancellationToken) {
        let (mut delay, mut next_sweep) = (Delay::default(), Instant::now());
        let mut at_once = AGGREGATES;
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.0.some.notified() => self.publish_own(at_once).await,
                () = tokio::time::sleep_until(next_sweep) => {
                    next_sweep = Instant::now() + SWEEP_EVERY;
                    self.sweep().await
                }
            };
            let Err(error) = done else {
                delay.reset();
                at_once = AGGREGATES;
                continue;
            };
            tracing::warn!(service = self.service, error, "events wait in the outbox");
            self.measure().await;
            if delay.wait(stop).await.is_break() {
                break;
            }
            // When the bus is back, each replica publishes its own first: what others
            // have committed is overdue by then, but it is not orphaned.
            next_sweep = Instant::now() + OVERDUE;
            at_once = AGGREGATES_OF_BACKLOG;
            self.wake.0.some.notify_one();
        }
        if let Err(error) = self.publish_own(AGGREGATES).await {
            tracing::warn!(service = self.service, error, "events stay in the outbox");
        }
    }

    /// Publishes what this process has committed, so many aggregates at once. What cannot be
    /// published is kept in mind.
    async fn publish_own(&self, at_once: usize) -> Result<(), String> {
        let own = self.wake.take();
        for (done, some) in own.chunks(at_once).enumerate() {
            if let Err(error) = self.publish(some).await {
                let rest = &own[done * at_once..];
                self.wake.0.aggregates.lock().extend(rest);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Publishes what the process that committed it has left behind. In no order: after
    /// an outage all replicas sweep at once, and so they seldom take the same aggregates
    /// at the same time.
    async fn sweep(&self) -> Result<(), String> {
        let before = self.clock.now();
        let before = before.checked_sub(OVERDUE).unwrap_or(before);
        loop {
            let mut orphaned = self.store.overdue(before, SAMPLE).await?;
            orphaned.shuffle(&mut rand::rng());
            let mut published = 0;
            for some in orphaned.chunks(AGGREGATES_OF_BACKLOG) {
                published += self.publish(some).await?;
            }
            if published == 0 || orphaned.len() < SAMPLE {
                break;
            }
        }
        self.measure().await;
        Ok(())
    }

    /// Publishes the queues of these aggregates; says how many events that were.
    async fn publish(&self, aggregates: &[Uuid]) -> Result<usize, String> {
        let mut published = 0;
        if aggregates.is_empty() {
            return Ok(published);
        }
        loop {
            let pending = self.store.pending(aggregates, BATCH).await?;
            let count = pending.len();
            if count > 0 {
                let records = pending.iter().map(|entry| entry.record.clone()).collect();
                let sent = self.bus.publish(records).await;
                sent.map_err(|error| error.to_string())?;
                self.store.remove(&pending).await?;
            }
            published += count;
            // Whoever has committed more meanwhile has woken this publisher again.
            if count < BATCH {
                return Ok(published);
            }
        }
    }

    async fn measure(&self) {
        if let Ok(waiting) = self.store.count().await {
            metrics::gauge!(m::OUTBOX_PENDING, "service" => self.service).set(waiting as f64);
        }
        let before = self.clock.now();
        let before = before.checked_sub(INCIDENT_AFTER).unwrap_or(before);
        match self.store.overdue(before, 1).await {
            Ok(old) if old.is_empty() => alarm::resolve(Kind::OutboxGrows, self.service),
            Ok(_) => {
                let text = "events have waited for the bus for over a minute";
                alarm::raise(Kind::OutboxGrows, self.service, text);
            }
            // That is told by who checks the database.
            Err(_) => {}
        }
    }
}
