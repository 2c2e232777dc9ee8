//! Events committed in the same write as the change that caused them, and published
//! after.
//!
//! A store writes events into its outbox within its own write: [`sqlite`] into a table,
//! [`mongo`] into the changed document. The [`Publisher`] is woken by whoever committed,
//! publishes the queue from its head and removes what the bus has acknowledged. It also
//! looks by itself now and then: for what a crash, or another replica, has left behind.
//! Two publishers can at worst publish an event twice; consumers deduplicate by event id,
//! and first occurrences stay in order, because each publishes from the head.

pub mod mongo;
pub mod sqlite;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    bus::{Record, SharedBus, consumer::Delay},
    life::Background,
    telemetry::metrics as m,
};

/// Events published in one go at most.
const BATCH: usize = 500;

/// How often a publisher looks by itself.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// Where a store keeps its events until they are published.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// The oldest events, at most `limit`; those of one aggregate from its first on, in
    /// the order of their commits.
    ///
    /// # Errors
    /// A text for the log.
    async fn pending(&self, limit: usize) -> Result<Vec<Pending>, String>;

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

/// Tells the publisher that something has been committed.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// There is something to publish.
    pub fn wake(&self) {
        self.0.notify_one();
    }
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
        let mut delay = Delay::default();
        loop {
            match self.drain().await {
                Ok(()) => delay.reset(),
                Err(error) => {
                    let waiting = self.store.count().await.unwrap_or(0);
                    metrics::gauge!(m::OUTBOX_PENDING, "service" => self.service)
                        .set(waiting as f64);
                    tracing::warn!(
                        service = self.service,
                        error,
                        waiting,
                        "events wait in the outbox"
                    );
                    if delay.wait(stop).await.is_break() {
                        return;
                    }
                    continue;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {
                    if let Err(error) = self.drain().await {
                        tracing::warn!(service = self.service, error, "events stay in the outbox");
                    }
                    return;
                }
                () = self.wake.0.notified() => {}
                () = tokio::time::sleep(SWEEP_EVERY) => {}
            }
        }
    }

    /// Publishes until nothing waits.
    async fn drain(&self) -> Result<(), String> {
        loop {
            let pending = self.store.pending(BATCH).await?;
            metrics::gauge!(m::OUTBOX_PENDING, "service" => self.service).set(pending.len() as f64);
            if pending.is_empty() {
                return Ok(());
            }
            let records = pending.iter().map(|entry| entry.record.clone()).collect();
            self.bus
                .publish(records)
                .await
                .map_err(|error| error.to_string())?;
            self.store.remove(&pending).await?;
        }
    }
}
