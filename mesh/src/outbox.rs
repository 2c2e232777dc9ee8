//! Events committed in the same write as the change that caused them, and published
//! after.
//!
//! A store writes events into its outbox within its own transaction. The [`Publisher`]
//! is woken by whoever committed, publishes the queue from its head and removes what the
//! bus has acknowledged. It also looks by itself now and then: for what a crash, or
//! another replica, has left behind. Two publishers can at worst publish an event twice;
//! consumers deduplicate by event id, and first occurrences stay in order, because each
//! publishes from the head.

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
    /// The oldest events, at most `limit`, in the order of their commits.
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
    /// Its place in the queue.
    pub position: i64,
    /// What to publish.
    pub record: Record,
}

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

/// The outbox in an SQLite database: a table beside the service's own.
pub mod sqlite {
    use async_trait::async_trait;
    use rusqlite::Connection;

    use super::{OutboxStore, Pending};
    use crate::{
        bus::{Event, Record},
        store::sqlite::{Database, StorageError, malformed},
    };

    /// The table, to stand in a service's migrations.
    pub const SCHEMA: &str = "
        CREATE TABLE outbox (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            topic    TEXT NOT NULL,
            key      TEXT NOT NULL,
            headers  TEXT NOT NULL, -- JSON: [[name, value], ...]
            value    BLOB NOT NULL
        ) STRICT;
    ";

    /// Appends events to the outbox, within the caller's transaction.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn append(c: &Connection, events: &[Event]) -> Result<(), StorageError> {
        let mut insert = c.prepare_cached(
            "INSERT INTO outbox (topic, key, headers, value) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for event in events {
            let record = event.to_record();
            let headers = serde_json::to_string(&record.headers)
                .map_err(|error| StorageError::Unusable(error.to_string()))?;
            insert.execute((record.topic, record.key, headers, record.value.as_ref()))?;
        }
        Ok(())
    }

    /// The outbox of a database whose migrations hold [`SCHEMA`].
    #[derive(Clone)]
    pub struct SqliteOutbox(Database);

    impl SqliteOutbox {
        /// The outbox in `db`.
        #[must_use]
        pub fn new(db: Database) -> Self {
            Self(db)
        }
    }

    fn read(c: &Connection, limit: usize) -> Result<Vec<Pending>, StorageError> {
        let mut query = c.prepare_cached(
            "SELECT position, topic, key, headers, value FROM outbox ORDER BY position LIMIT ?1",
        )?;
        let rows = query.query_map([limit], |row| {
            let headers: String = row.get(3)?;
            let value: Vec<u8> = row.get(4)?;
            Ok(Pending {
                position: row.get(0)?,
                record: Record {
                    topic: row.get(1)?,
                    key: row.get(2)?,
                    headers: serde_json::from_str(&headers).map_err(malformed)?,
                    value: value.into(),
                },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    #[async_trait]
    impl OutboxStore for SqliteOutbox {
        async fn pending(&self, limit: usize) -> Result<Vec<Pending>, String> {
            let read = self.0.read(move |c| read(c, limit));
            read.await.map_err(|error| error.to_string())
        }

        async fn remove(&self, published: &[Pending]) -> Result<(), String> {
            let positions: Vec<i64> = published.iter().map(|entry| entry.position).collect();
            let remove = self.0.write(move |c| {
                let mut delete = c.prepare_cached("DELETE FROM outbox WHERE position = ?1")?;
                for position in positions {
                    delete.execute([position])?;
                }
                Ok::<_, StorageError>(())
            });
            remove.await.map_err(|error| error.to_string())
        }

        async fn count(&self) -> Result<u64, String> {
            let count = self.0.read(|c| {
                c.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))
                    .map_err(StorageError::from)
            });
            count.await.map_err(|error| error.to_string())
        }
    }
}
