//! The outbox publisher of one store.
//!
//! It publishes events of this process immediately after their commit, and events that other
//! processes have left behind by sweeping. From each aggregate's queue it deletes the events up to
//! the first one that was not published. An aggregate whose first event the bus refuses for good is
//! held: its events are tried one at a time, so that no other aggregate waits for it, until the bus
//! accepts it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rand::seq::{IteratorRandom as _, SliceRandom as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    OVERDUE, OutboxStore, Pending, Wake,
    sending::{Refused, Sent, send},
};
use crate::StoreError;
use crate::metrics as m;
use slipway_bus::{BusError, SharedBus};
use slipway_runtime::{
    alarm::{self, Kind},
    backoff::Backoff,
    clock::SharedClock,
    life::Background,
};

/// Maximum events per publication.
const BATCH: usize = 500;

/// Aggregates whose events are published together.
const AGGREGATES: usize = 100;

/// Aggregates of a backlog that are published together: so few that two replicas, which each choose
/// some at random, rarely choose the same ones.
const AGGREGATES_OF_BACKLOG: usize = 16;

/// Overdue aggregates that one step of a sweep reads.
const SAMPLE: usize = 1000;

/// Events that have waited longer than this are an incident.
const INCIDENT_AFTER: Duration = Duration::from_secs(60);

/// How often a publisher sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Publishes the outbox of one store.
#[derive(Clone)]
pub struct Publisher {
    /// The service's name, for metrics and logs.
    pub service: &'static str,
    /// The outbox.
    pub store: Arc<dyn OutboxStore>,
    /// The bus to publish on.
    pub bus: SharedBus,
    /// Wakes the publisher after a commit.
    pub wake: Wake,
    /// The clock that determines which events are overdue.
    pub clock: SharedClock,
}

impl Publisher {
    /// Publishes in the background until shutdown; then once more.
    pub fn spawn(self, background: &Background) {
        background.spawn("outbox", move |stop| {
            let publishing = Publishing::new(self.clone());
            async move { publishing.run(&stop).await }
        });
    }
}

/// Why events were not published.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotPublished {
    /// The bus did not accept them.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// They could not be read or removed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The state of a running publisher.
pub(super) struct Publishing {
    publisher: Publisher,
    /// Aggregates whose first event was refused.
    held: BTreeSet<Uuid>,
}

impl Publishing {
    pub(super) fn new(publisher: Publisher) -> Self {
        Self {
            publisher,
            held: BTreeSet::new(),
        }
    }

    async fn run(mut self, stop: &CancellationToken) {
        let wake = self.publisher.wake.clone();
        let service = self.publisher.service;
        let (mut backoff, mut next_sweep) = (Backoff::default(), Instant::now());
        let mut at_once = AGGREGATES;
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => break,
                () = wake.0.some.notified() => self.publish_own(at_once).await,
                () = tokio::time::sleep_until(next_sweep) => {
                    next_sweep = Instant::now() + SWEEP_EVERY;
                    self.sweep().await
                }
            };
            let Err(error) = done else {
                backoff.reset();
                at_once = AGGREGATES;
                continue;
            };
            tracing::warn!(service, %error, "events cannot be published; they wait in the outbox");
            self.measure().await;
            if backoff.wait(stop).await.is_break() {
                break;
            }
            // When the bus is available again, each replica first publishes its own events: those
            // of others are overdue by then, but not orphaned.
            next_sweep = Instant::now() + OVERDUE;
            at_once = AGGREGATES_OF_BACKLOG;
            wake.0.some.notify_one();
        }
        if let Err(error) = self.publish_own(AGGREGATES).await {
            tracing::warn!(service, %error, "failed to publish events; they stay in the outbox");
        }
    }

    /// Publishes the events that this process has committed, of `at_once` aggregates at a time.
    /// Aggregates that could not be published are remembered.
    pub(super) async fn publish_own(&mut self, at_once: usize) -> Result<(), NotPublished> {
        let own = self.publisher.wake.take();
        for (done, some) in own.chunks(at_once).enumerate() {
            if let Err(error) = self.publish(some).await {
                let rest = &own[done * at_once..];
                self.publisher.wake.0.aggregates.lock().extend(rest);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Publishes overdue events that the process that committed them has left behind. The
    /// aggregates are in random order: after an outage all replicas sweep at the same time, and so
    /// they rarely process the same aggregates at once.
    pub(super) async fn sweep(&mut self) -> Result<(), NotPublished> {
        loop {
            let mut orphaned = self.overdue(OVERDUE, SAMPLE).await?;
            orphaned.shuffle(&mut rand::rng());
            let mut published = 0;
            for some in orphaned.chunks(AGGREGATES_OF_BACKLOG) {
                published += self.publish(some).await?;
            }
            if published == 0 || orphaned.len() < SAMPLE {
                break;
            }
        }
        self.try_held().await?;
        self.measure().await;
        Ok(())
    }

    /// Publishes the queues of these aggregates, except those that are held; returns the number of
    /// published events.
    async fn publish(&mut self, aggregates: &[Uuid]) -> Result<usize, NotPublished> {
        let mut published = 0;
        loop {
            let held = |aggregate: &Uuid| self.held.contains(aggregate);
            let free: Vec<_> = aggregates.iter().copied().filter(|id| !held(id)).collect();
            if free.is_empty() {
                return Ok(published);
            }
            let pending = self.publisher.store.pending(&free, BATCH).await?;
            let more = pending.len() == BATCH;
            let sent = self.send(pending).await?;
            published += sent.published;
            for refused in &sent.refused {
                published += self.try_alone(refused.aggregate()).await?;
            }
            if let Some(error) = sent.away {
                return Err(error.into());
            }
            // A writer that has committed more in the meantime has also woken this publisher again.
            if !more {
                return Ok(published);
            }
        }
    }

    /// Publishes the events of an aggregate one at a time, so that it is certain which one is
    /// refused, and no other is affected. Returns the number of published events.
    async fn try_alone(&mut self, aggregate: Uuid) -> Result<usize, NotPublished> {
        let mut published = 0;
        loop {
            let first = self.publisher.store.pending(&[aggregate], 1).await?;
            if first.is_empty() {
                self.held.remove(&aggregate);
                return Ok(published);
            }
            let sent = self.send(first).await?;
            published += sent.published;
            if let Some(error) = sent.away {
                return Err(error.into());
            }
            if let Some(refused) = sent.refused.first() {
                self.hold(refused);
                return Ok(published);
            }
        }
    }

    /// Tries some of the held aggregates, chosen at random: there may be many.
    async fn try_held(&mut self) -> Result<(), NotPublished> {
        let some = self.held.iter().copied();
        let some = some.sample(&mut rand::rng(), AGGREGATES);
        for aggregate in some {
            self.try_alone(aggregate).await?;
        }
        if self.held.is_empty() {
            alarm::resolve(Kind::EventRefused, self.publisher.service);
        }
        Ok(())
    }

    fn hold(&mut self, refused: &Refused) {
        let (service, text) = (self.publisher.service, refused.to_string());
        if self.held.insert(refused.aggregate()) {
            tracing::error!(service, "{text}");
        }
        alarm::raise(Kind::EventRefused, service, &text);
    }

    async fn send(&self, pending: Vec<Pending>) -> Result<Sent, NotPublished> {
        let Publisher { bus, store, .. } = &self.publisher;
        Ok(send(bus, &**store, pending).await?)
    }

    /// Aggregates with events older than `age`, without those that are held.
    async fn overdue(&self, age: Duration, limit: usize) -> Result<Vec<Uuid>, NotPublished> {
        let now = self.publisher.clock.now();
        let before = now.checked_sub(age).unwrap_or(now);
        let held: Vec<_> = self.held.iter().copied().collect();
        Ok(self.publisher.store.overdue(before, &held, limit).await?)
    }

    async fn measure(&self) {
        let service = self.publisher.service;
        if let Ok(backlog) = self.publisher.store.backlog().await {
            let now = self.publisher.clock.now();
            let age = backlog
                .oldest
                .map(|at| now.duration_since(at).as_secs_f64());
            let age = age.unwrap_or_default().max(0.0);
            metrics::gauge!(m::OUTBOX_PENDING, "service" => service).set(backlog.count as f64);
            metrics::gauge!(m::OUTBOX_OLDEST_SECONDS, "service" => service).set(age);
        }
        metrics::gauge!(m::OUTBOX_HELD, "service" => service).set(self.held.len() as f64);
        match self.overdue(INCIDENT_AFTER, 1).await {
            Ok(old) if old.is_empty() => alarm::resolve(Kind::OutboxGrows, service),
            Ok(_) => {
                let text = "events have waited for the bus for over a minute";
                alarm::raise(Kind::OutboxGrows, service, text);
            }
            // The health check of the database reports this.
            Err(_) => {}
        }
    }
}
