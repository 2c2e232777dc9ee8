//! The bus of a mesh that runs in one process: a durable log in an SQLite file, with the semantics
//! of a broker: partitions by key, consumer groups, committed offsets. Delivery is at least once,
//! also when the process is killed at any moment.

mod groups;
mod log;
mod subscription;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use self::{groups::Groups, log::Heads, subscription::Member};
use super::{Bus, BusError, Record, Subscription, TopicSpec, Unpublished};
use crate::metrics as m;
use slipway_runtime::{
    clock::SharedClock,
    life::{Background, Check, Problem},
};
use slipway_sqlite::{Database, StorageError};

/// Minimum time that records are kept; longer while a group has not consumed them.
pub const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Interval between measurements of how far the groups are behind.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// The embedded adapter. Cheap to clone; all clones share one bus.
#[derive(Clone)]
pub struct EmbeddedBus(Arc<Inner>);

struct Inner {
    db: Database,
    clock: SharedClock,
    /// The next offset of each partition. Consumers compare their own position with it.
    heads: Mutex<Heads>,
    groups: Mutex<Groups>,
    /// Increases with each publication and change of membership, to wake consumers.
    changes: watch::Sender<u64>,
}

impl EmbeddedBus {
    /// Opens or creates the log at `path`. Only one process at a time may have it open.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn open(path: &Path, clock: SharedClock) -> Result<Self, StorageError> {
        let db = Database::open(path, "bus", log::MIGRATIONS)?;
        Ok(Self(Arc::new(Inner {
            db,
            clock,
            heads: Mutex::default(),
            groups: Mutex::default(),
            changes: watch::Sender::new(0),
        })))
    }

    /// Deletes old records, now and every hour, in the background.
    pub fn prune_in(&self, background: &Background) {
        let bus = self.clone();
        background.repeat("delete-old-records", PRUNE_EVERY, move || {
            let bus = bus.clone();
            async move { bus.prune().await.map(drop) }
        });
    }

    /// Measures how far each group is behind, now and every five seconds, in the background.
    pub fn measure_in(&self, background: &Background) {
        let bus = self.clone();
        background.repeat("measure-consumer-lag", MEASURE_EVERY, move || {
            let bus = bus.clone();
            async move { bus.measure().await }
        });
    }

    async fn measure(&self) -> Result<(), StorageError> {
        let consumed = self.0.groups.lock().consumed();
        let lags = self.0.db.read(move |c| {
            let lag = |(group, topic): (String, String)| {
                let lag = log::lag(c, &group, &topic)?;
                Ok::<_, StorageError>((group, topic, lag))
            };
            consumed.into_iter().map(lag).collect::<Result<Vec<_>, _>>()
        });
        for (group, topic, lag) in lags.await? {
            m::lag(&group, &topic, lag);
        }
        Ok(())
    }

    /// Deletes the records older than [`RETENTION`] that every group has consumed; returns their
    /// number.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn prune(&self) -> Result<usize, StorageError> {
        let retention = i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX);
        let before = self.0.clock.now().as_millisecond() - retention;
        self.0.db.write(move |c| log::prune(c, before)).await
    }

    /// Reads the next offset of each partition of `topics` from the file into memory.
    async fn load_heads(&self, topics: Vec<String>) -> Result<(), BusError> {
        let heads = self.0.db.read(move |c| log::heads(c, &topics)).await?;
        let mut known = self.0.heads.lock();
        for (partition, next) in heads {
            let head = known.entry(partition).or_default();
            *head = next.max(*head);
        }
        Ok(())
    }

    fn changed(&self) {
        self.0.changes.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        let topics = topics.to_vec();
        self.0
            .db
            .write(move |c| log::create_topics(c, &topics))
            .await
    }

    async fn topics(&self) -> Result<Vec<String>, BusError> {
        Ok(self.0.db.read(log::topics).await?)
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), Unpublished> {
        let (now, count) = (self.0.clock.now().as_millisecond(), records.len());
        let append = self.0.db.write(move |c| {
            let (outcomes, ends) = log::append(c, &records, now)?;
            Ok::<_, BusError>((records, outcomes, ends))
        });
        let (records, outcomes, ends) = append
            .await
            .map_err(|error| Unpublished::all(count, error))?;
        {
            let mut heads = self.0.heads.lock();
            for (partition, next) in ends {
                let head = heads.entry(partition).or_default();
                *head = next.max(*head);
            }
        }
        let published = records.iter().zip(&outcomes);
        let published = published.filter(|(_, outcome)| outcome.is_ok());
        m::published(published.map(|(record, _)| record));
        self.changed();
        Unpublished::unless_all(outcomes)
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<Box<dyn Subscription>, BusError> {
        let wanted = topics.to_vec();
        let partitions = self.0.db.read(move |c| log::partitions(c, &wanted)).await?;
        self.load_heads(topics.to_vec()).await?;
        let member = Member::join(self.clone(), group, partitions);
        self.changed();
        Ok(Box::new(member))
    }
}

#[async_trait]
impl Check for EmbeddedBus {
    async fn check(&self) -> Result<(), Problem> {
        self.0.db.check().await
    }
}

impl From<StorageError> for BusError {
    fn from(error: StorageError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::testing::stage::{Stage, create, record};
    use slipway_runtime::clock::ManualClock;

    fn bus(dir: &tempfile::TempDir) -> EmbeddedBus {
        let clock = Arc::new(ManualClock::at(Timestamp::now()));
        EmbeddedBus::open(&dir.path().join("bus.db"), clock).unwrap()
    }

    fn stage() -> Option<Stage> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus.db");
        Some(Stage::new("", dir, move || {
            let clock = Arc::new(ManualClock::at(Timestamp::now()));
            Arc::new(EmbeddedBus::open(&path, clock).unwrap())
        }))
    }

    mod contract {
        crate::bus_contract!({ super::stage() });
    }

    mod consumer {
        crate::consumer_contract!({ super::stage() });
    }

    #[tokio::test]
    async fn old_records_are_deleted_once_every_group_has_consumed_them() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::now()));
        let bus = EmbeddedBus::open(&dir.path().join("bus.db"), clock.clone()).unwrap();
        create(&bus, "t", 1).await;
        bus.publish(vec![record("t", "k", "1"), record("t", "k", "2")])
            .await
            .unwrap();
        let mut subscription = bus.subscribe("g", &["t".into()]).await.unwrap();
        let batch = subscription.next(1).await.unwrap();
        subscription.commit(&batch).await.unwrap();
        assert_eq!(bus.prune().await.unwrap(), 0, "they are young");
        clock.advance(SignedDuration::from_hours(7 * 24 + 1));
        assert_eq!(bus.prune().await.unwrap(), 1, "the second is not consumed");
        assert_eq!(subscription.next(9).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn offsets_continue_after_all_records_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let bus = bus(&dir);
        create(&bus, "t", 1).await;
        bus.publish(vec![record("t", "k", "1")]).await.unwrap();
        bus.0.db.write(|c| log::prune(c, i64::MAX)).await.unwrap();
        bus.publish(vec![record("t", "k", "2")]).await.unwrap();
        let mut subscription = bus.subscribe("g", &["t".into()]).await.unwrap();
        let batch = subscription.next(9).await.unwrap();
        assert_eq!((batch.len(), batch[0].offset), (1, 1));
    }
    #[tokio::test]
    async fn a_group_is_behind_by_what_is_retained_and_not_committed() {
        let dir = tempfile::tempdir().unwrap();
        let bus = bus(&dir);
        create(&bus, "t", 1).await;
        bus.publish(vec![record("t", "k", "1")]).await.unwrap();
        bus.0.db.write(|c| log::prune(c, i64::MAX)).await.unwrap();
        let more = ["2", "3"].map(|value| record("t", "k", value));
        bus.publish(more.into()).await.unwrap();
        let mut subscription = bus.subscribe("g", &["t".into()]).await.unwrap();
        let consumed = bus.0.groups.lock().consumed();
        assert_eq!(consumed, [("g".to_owned(), "t".to_owned())].into());
        let lag = async || bus.0.db.read(|c| log::lag(c, "g", "t")).await.unwrap();
        assert_eq!(lag().await, 2);
        let first = subscription.next(1).await.unwrap();
        subscription.commit(&first).await.unwrap();
        assert_eq!(lag().await, 1);
    }
}
