//! The publisher, on a store and a bus that are real; only what the bus answers is at times
//! made up.

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

/// What a bus says of some records when it is told to; it hands on the others.
#[derive(Default)]
struct Moody {
    /// Values, and what becomes of records that have one of them.
    moods: Mutex<Vec<(String, BusError)>>,
    /// The values it was given, publication by publication.
    given: Mutex<Vec<Vec<String>>>,
    /// Whether a refusal is one of all that was given with it, as a broker refuses batches.
    refuses_all: bool,
}

impl Moody {
    fn mood(&self, record: &Record) -> Outcome {
        let moods = self.moods.lock();
        let mood = moods.iter().find(|(value, _)| text(record) == *value);
        mood.map_or(Ok(()), |(_, error)| Err(error.clone()))
    }

    async fn publish(&self, bus: SharedBus, records: Vec<Record>) -> Result<(), Unpublished> {
        self.given.lock().push(records.iter().map(text).collect());
        let mut outcomes: Vec<Outcome> = Vec::new();
        for (n, record) in records.iter().enumerate() {
            let refused = |n: &usize| matches!(outcomes[*n], Err(BusError::TooLarge(_)));
            let behind = (0..n).find(|n| records[*n].key == record.key && refused(n));
            let outcome = behind.map_or_else(|| self.mood(record), |n| outcomes[n].clone());
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

/// A store with some queues, and who publishes them.
struct Office {
    publishing: Publishing,
    store: SqliteOutbox,
    db: Database,
    bus: SharedBus,
    moody: Arc<Moody>,
    clock: Arc<ManualClock>,
    wake: Wake,
    service: &'static str,
    _dir: TempDir,
}

impl Office {
    /// Whose incidents are told apart from those of other tests by `service`.
    async fn open(service: &'static str, refuses_all: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::now()));
        let bus = EmbeddedBus::open(&dir.path().join("bus.db"), clock.clone()).unwrap();
        create(&bus, TOPIC, 1).await;
        let moody = Arc::new(Moody {
            refuses_all,
            ..Moody::default()
        });
        let told = moody.clone();
        let bus = double(Arc::new(bus), move |bus, records| {
            let moody = told.clone();
            async move { moody.publish(bus, records).await }
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
            moody,
            clock,
            wake,
            service,
            _dir: dir,
        }
    }

    /// Commits events of an aggregate and tells the publisher.
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
        self.moody.moods.lock().push((value.to_owned(), error));
    }

    /// The values that wait, of one aggregate.
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
async fn what_was_acknowledged_is_not_published_again_when_others_failed() {
    let mut office = Office::open("acknowledged", false).await;
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    office.commit(a, &["a1", "a2", "a3"]).await;
    office.commit(b, &["b1"]).await;
    office.fails("a2", away());
    office.fails("a3", away());
    office.publishing.publish_own(100).await.unwrap_err();
    assert_eq!(office.waiting(a).await, ["a2", "a3"]);
    assert_eq!(office.waiting(b).await, [""; 0]);

    office.moody.moods.lock().clear();
    office.publishing.publish_own(100).await.unwrap();
    assert_eq!(office.store.count().await.unwrap(), 0);
    let mut published = office.published(4).await;
    published.retain(|value| value.starts_with('a'));
    assert_eq!(published, ["a1", "a2", "a3"]);
}

#[tokio::test]
async fn an_acknowledged_event_behind_one_that_failed_stays_until_that_is_published() {
    let mut office = Office::open("behind", false).await;
    let a = Uuid::now_v7();
    office.commit(a, &["a1", "a2"]).await;
    office.fails("a1", away());
    office.publishing.publish_own(100).await.unwrap_err();
    assert_eq!(office.waiting(a).await, ["a1", "a2"]);
}

#[tokio::test]
async fn a_refused_event_waits_with_what_is_behind_it_and_holds_up_nobody_else() {
    for (service, refuses_all) in [("alone", false), ("in a batch", true)] {
        let mut office = Office::open(service, refuses_all).await;
        let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
        office.commit(a, &["a1", "a2", "a3"]).await;
        office.commit(b, &["b1", "b2"]).await;
        office.fails("a2", too_large());
        office.publishing.publish_own(100).await.unwrap();
        assert_eq!(office.waiting(a).await, ["a2", "a3"], "{service}");
        assert_eq!(office.waiting(b).await, [""; 0], "{service}");
        assert!(office.has_incident(), "{service}");

        // From now on it is tried by itself.
        office.moody.given.lock().clear();
        office.clock.advance(SignedDuration::from_secs(60));
        office.commit(a, &["a4"]).await;
        office.commit(b, &["b3"]).await;
        office.publishing.publish_own(100).await.unwrap();
        office.publishing.sweep().await.unwrap();
        let given = office.moody.given.lock().clone();
        assert_eq!(given, [["b3"], ["a2"]], "{service}");
        let grows = alarm::stands(Kind::OutboxGrows, service);
        assert!(!grows, "{service}: that is told by the other incident");

        office.moody.moods.lock().clear();
        office.publishing.sweep().await.unwrap();
        assert_eq!(office.store.count().await.unwrap(), 0, "{service}");
        assert!(!office.has_incident(), "{service}");
        let mut published = office.published(7).await;
        published.retain(|value| value.starts_with('a'));
        assert_eq!(published, ["a1", "a2", "a3", "a4"], "{service}");
    }
}

#[tokio::test]
async fn a_long_queue_behind_a_refused_event_hides_no_other_from_the_sweep() {
    let mut office = Office::open("long", false).await;
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    office.fails("a", too_large());
    office.commit(a, &["a"; 1500]).await;
    office.commit(b, &["b"]).await;
    // Another process has committed them.
    office.wake.take();
    office.clock.advance(SignedDuration::from_secs(60));
    office.publishing.sweep().await.unwrap();
    assert_eq!(office.store.count().await.unwrap(), 1500);
    assert_eq!(office.published(1).await, ["b"]);
}
