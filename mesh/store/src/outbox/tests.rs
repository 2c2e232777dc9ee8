//! Tests of the publisher with a real store and a real bus; some publication results are scripted.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    OutboxStore as _, Publisher, Wake,
    publisher::Publishing,
    sqlite::{SCHEMA, SqliteOutbox, append_to},
};
use slipway_bus::{
    BusError, EmbeddedBus, Outcome, Record, SharedBus, Unpublished,
    testing::{
        double::double,
        stage::{create, record, take},
    },
};
use slipway_runtime::{
    alarm::{self, Kind},
    clock::ManualClock,
};
use slipway_sqlite::{Database, StorageError};

const MIGRATIONS: &[&str] = &[SCHEMA];
const TOPIC: &str = "t";

/// A bus that returns scripted results for some records, and publishes the others.
#[derive(Default)]
struct ScriptedBus {
    /// Values of records, with the error that is returned for them.
    errors: Mutex<Vec<(String, BusError)>>,
    /// The values of each publication.
    publications: Mutex<Vec<Vec<String>>>,
    /// Whether one refusal fails the whole publication, as with a broker that refuses batches.
    refuses_all: bool,
}

impl ScriptedBus {
    fn outcome_of(&self, record: &Record) -> Outcome {
        let errors = self.errors.lock();
        let error = errors.iter().find(|(value, _)| text(record) == *value);
        error.map_or(Ok(()), |(_, error)| Err(error.clone()))
    }

    async fn publish(&self, bus: SharedBus, records: Vec<Record>) -> Result<(), Unpublished> {
        self.publications
            .lock()
            .push(records.iter().map(text).collect());
        let mut outcomes: Vec<Outcome> = Vec::new();
        for (n, record) in records.iter().enumerate() {
            let refused = |n: &usize| matches!(outcomes[*n], Err(BusError::TooLarge(_)));
            let behind = (0..n).find(|n| records[*n].key == record.key && refused(n));
            let outcome = behind.map_or_else(|| self.outcome_of(record), |n| outcomes[n].clone());
            outcomes.push(outcome);
        }
        let mut all = outcomes.iter();
        let refused = all.find(|outcome| matches!(outcome, Err(BusError::TooLarge(_))));
        if let (true, Some(refused)) = (self.refuses_all, refused.cloned()) {
            outcomes.fill(refused);
        }
        let good = records.into_iter().zip(&outcomes);
        let good = good.filter(|(_, outcome)| outcome.is_ok());
        bus.publish(good.map(|(record, _)| record).collect())
            .await?;
        Unpublished::unless_all(outcomes)
    }
}

fn text(record: &Record) -> String {
    String::from_utf8(record.value.to_vec()).unwrap()
}

/// A store with some queues, and its publisher.
struct Setup {
    publishing: Publishing,
    store: SqliteOutbox,
    db: Database,
    bus: SharedBus,
    scripted: Arc<ScriptedBus>,
    clock: Arc<ManualClock>,
    wake: Wake,
    service: &'static str,
    _dir: TempDir,
}

impl Setup {
    /// Opens a setup whose incidents have `service` as their subject, to distinguish them from
    /// those of other tests.
    async fn open(service: &'static str, refuses_all: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::now()));
        let bus = EmbeddedBus::open(&dir.path().join("bus.db"), clock.clone()).unwrap();
        create(&bus, TOPIC, 1).await;
        let scripted = Arc::new(ScriptedBus {
            refuses_all,
            ..ScriptedBus::default()
        });
        let publishing_bus = scripted.clone();
        let bus = double(Arc::new(bus), move |bus, records| {
            let scripted = publishing_bus.clone();
            async move { scripted.publish(bus, records).await }
        });
        let db = Database::open(&dir.path().join("store.db"), "store", MIGRATIONS).unwrap();
        let (store, wake) = (SqliteOutbox::new(db.clone()), Wake::default());
        let publishing = Publishing::new(Publisher {
            service,
            store: Arc::new(store.clone()),
            bus: bus.clone(),
            wake: wake.clone(),
            clock: clock.clone(),
        });
        Self {
            publishing,
            store,
            db,
            bus,
            scripted,
            clock,
            wake,
            service,
            _dir: dir,
        }
    }

    /// Commits events of an aggregate and wakes the publisher.
    async fn commit(&self, aggregate: Uuid, values: &[&str]) {
        let records: Vec<_> = values
            .iter()
            .map(|value| record(TOPIC, &aggregate.to_string(), value))
            .collect();
        let append = self.db.write(move |c| {
            for record in &records {
                append_to(c, &aggregate.to_string(), Uuid::now_v7(), record)?;
            }
            Ok::<_, StorageError>(())
        });
        append.await.unwrap();
        self.wake.wake(aggregate);
    }

    fn fails(&self, value: &str, error: BusError) {
        self.scripted.errors.lock().push((value.to_owned(), error));
    }

    /// The values of one aggregate that wait to be published.
    async fn waiting(&self, aggregate: Uuid) -> Vec<String> {
        let pending = self.store.pending(&[aggregate], 100).await.unwrap();
        pending.iter().map(|entry| text(&entry.record)).collect()
    }

    /// The values on the topic.
    async fn published(&self, count: usize) -> Vec<String> {
        let mut reader = self.bus.subscribe("reader", &[TOPIC.into()]).await.unwrap();
        let deliveries = take(&mut reader, count).await;
        deliveries.iter().map(|found| text(&found.record)).collect()
    }

    fn has_incident(&self) -> bool {
        alarm::stands(Kind::EventRefused, self.service)
    }
}

fn too_large() -> BusError {
    BusError::TooLarge("it has 2 MB".into())
}

fn away() -> BusError {
    BusError::Unavailable("away".into())
}

#[tokio::test]
async fn acknowledged_events_are_not_published_again_when_others_failed() {
    let mut setup = Setup::open("acknowledged", false).await;
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    setup.commit(a, &["a1", "a2", "a3"]).await;
    setup.commit(b, &["b1"]).await;
    setup.fails("a2", away());
    setup.fails("a3", away());
    setup.publishing.publish_own(100).await.unwrap_err();
    assert_eq!(setup.waiting(a).await, ["a2", "a3"]);
    assert_eq!(setup.waiting(b).await, [""; 0]);

    setup.scripted.errors.lock().clear();
    setup.publishing.publish_own(100).await.unwrap();
    assert_eq!(setup.store.count().await.unwrap(), 0);
    let mut published = setup.published(4).await;
    published.retain(|value| value.starts_with('a'));
    assert_eq!(published, ["a1", "a2", "a3"]);
}

#[tokio::test]
async fn an_acknowledged_event_after_a_failed_one_is_published_again_after_it() {
    let mut setup = Setup::open("behind", false).await;
    let a = Uuid::now_v7();
    setup.commit(a, &["a1", "a2"]).await;
    setup.fails("a1", away());
    setup.publishing.publish_own(100).await.unwrap_err();
    assert_eq!(setup.waiting(a).await, ["a1", "a2"]);
}

#[tokio::test]
async fn a_refused_event_blocks_only_later_events_of_its_aggregate() {
    for (service, refuses_all) in [("alone", false), ("in a batch", true)] {
        let mut setup = Setup::open(service, refuses_all).await;
        let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
        setup.commit(a, &["a1", "a2", "a3"]).await;
        setup.commit(b, &["b1", "b2"]).await;
        setup.fails("a2", too_large());
        setup.publishing.publish_own(100).await.unwrap();
        assert_eq!(setup.waiting(a).await, ["a2", "a3"], "{service}");
        assert_eq!(setup.waiting(b).await, [""; 0], "{service}");
        assert!(setup.has_incident(), "{service}");

        // From now on it is tried alone.
        setup.scripted.publications.lock().clear();
        setup.clock.advance(SignedDuration::from_secs(60));
        setup.commit(a, &["a4"]).await;
        setup.commit(b, &["b3"]).await;
        setup.publishing.publish_own(100).await.unwrap();
        setup.publishing.sweep().await.unwrap();
        let publications = setup.scripted.publications.lock().clone();
        assert_eq!(publications, [["b3"], ["a2"]], "{service}");
        let grows = alarm::stands(Kind::OutboxGrows, service);
        assert!(!grows, "{service}: the other incident reports that");

        setup.scripted.errors.lock().clear();
        setup.publishing.sweep().await.unwrap();
        assert_eq!(setup.store.count().await.unwrap(), 0, "{service}");
        assert!(!setup.has_incident(), "{service}");
        let mut published = setup.published(7).await;
        published.retain(|value| value.starts_with('a'));
        assert_eq!(published, ["a1", "a2", "a3", "a4"], "{service}");
    }
}

#[tokio::test]
async fn the_backlog_has_the_time_of_the_oldest_event() {
    let setup = Setup::open("backlog", false).await;
    let empty = setup.store.backlog().await.unwrap();
    assert_eq!((empty.count, empty.oldest), (0, None));
    let began = Timestamp::now();
    setup.commit(Uuid::now_v7(), &["a1", "a2"]).await;
    setup.commit(Uuid::now_v7(), &["b1"]).await;
    let backlog = setup.store.backlog().await.unwrap();
    assert_eq!(backlog.count, 3);
    let oldest = backlog.oldest.unwrap();
    // Ids have the time to the millisecond.
    assert!(oldest.as_millisecond() >= began.as_millisecond());
    assert!(oldest <= Timestamp::now());
}

#[tokio::test]
async fn a_long_queue_after_a_refused_event_does_not_hide_others_from_the_sweep() {
    let mut setup = Setup::open("long", false).await;
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    setup.fails("a", too_large());
    setup.commit(a, &["a"; 1500]).await;
    setup.commit(b, &["b"]).await;
    // As if another process had committed them.
    setup.wake.take();
    setup.clock.advance(SignedDuration::from_secs(60));
    setup.publishing.sweep().await.unwrap();
    assert_eq!(setup.store.count().await.unwrap(), 1500);
    assert_eq!(setup.published(1).await, ["b"]);
}
