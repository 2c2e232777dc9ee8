//! notify-svc: the wall of activity, and the desk of dead letters.
//!
//! A consumer projects the events of all topics into one log, numbered 1, 2, 3, … without
//! gaps; `ActivityService` reads it page by page and as a stream.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`activity`] | entries, how each event reads, filters: pure |
//! | [`dead_letter`] | what consumers could not handle, and what may be done with it: pure |
//! | `replays` | sending dead letters back |
//! | [`store`] | the log and the desk in a database |
//! | `grpc` | `slipway.notify.v1`: `ActivityService`, `DeadLetterService` |
//! | `jobs` | projection, collecting dead letters, pruning, looking out for other replicas' entries |

pub mod activity;
pub mod dead_letter;
mod grpc;
mod jobs;
mod metrics;
mod newest;
mod replays;
pub mod store;

use std::{path::Path, sync::Arc, time::Duration};

use slipway_mesh::{
    bus::SharedBus,
    clock::SharedClock,
    life::{Background, Health, Need},
    outbox::{OutboxStore, Publisher, Wake, mongo::MongoOutbox, sqlite::SqliteOutbox},
    store::{mongo, sqlite::StorageError},
};
use slipway_proto::notify::v1::{
    activity_service_server::ActivityServiceServer,
    dead_letter_service_server::DeadLetterServiceServer,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use grpc::{ActivityApi, DeadLetterApi};
use jobs::{Desk, Lookout, Projection, Pruning};
use newest::Newest;
use replays::Replays;
use store::dead_letters::{mongo::MongoDeadLetterStore, sqlite::SqliteDeadLetterStore};
use store::{ActivityStore, DeadLetterStore, MongoActivityStore, SqliteActivityStore};

const ACTIVITY_SERVICE: &str = "slipway.notify.v1.ActivityService";
const DEAD_LETTER_SERVICE: &str = "slipway.notify.v1.DeadLetterService";

/// The service's name, for metrics and logs.
const SERVICE: &str = "notify-svc";

/// Full protobuf names of what this crate serves.
pub const SERVICES: &[&str] = &[ACTIVITY_SERVICE, DEAD_LETTER_SERVICE];

/// How notify-svc behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long entries are kept after they were logged. Longer than the bus keeps its
    /// records: an event delivered again is recognised by its entry.
    pub activity_retention: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            activity_retention: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

/// Where notify-svc keeps what it knows.
#[derive(Clone)]
pub struct Stores {
    /// The activity log.
    pub activity: Arc<dyn ActivityStore>,
    /// The desk of dead letters.
    pub dead_letters: Arc<dyn DeadLetterStore>,
    /// What waits to be published.
    pub outbox: Arc<dyn OutboxStore>,
}

impl Stores {
    /// Opens or creates the SQLite file at `path`. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, StorageError> {
        let db = store::open(path)?;
        Ok(Self {
            activity: Arc::new(SqliteActivityStore::new(db.clone())),
            dead_letters: Arc::new(SqliteDeadLetterStore::new(db.clone())),
            outbox: Arc::new(SqliteOutbox::new(db)),
        })
    }

    /// Opens the MongoDB database `name`, usually [`store::mongo::DATABASE`].
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub async fn mongo(client: &mongo::Client, name: &str) -> Result<Self, mongo::StorageError> {
        use store::dead_letters::mongo::{COLLECTION, INDEXES};
        let database = mongo::Database::open(client, name, INDEXES).await?;
        Ok(Self {
            activity: Arc::new(MongoActivityStore::open(client, name).await?),
            dead_letters: Arc::new(MongoDeadLetterStore::new(&database)),
            outbox: Arc::new(MongoOutbox::new(database, &[COLLECTION])),
        })
    }
}

/// What notify-svc needs.
pub struct Dependencies {
    /// Its databases.
    pub stores: Stores,
    /// Where events come from.
    pub bus: SharedBus,
    /// The time.
    pub clock: SharedClock,
    /// Runs the consumer and the other jobs.
    pub background: Background,
    /// Where its dependencies are registered.
    pub health: Health,
    /// Cancelled when the process begins to drain: streams end.
    pub drain: CancellationToken,
}

impl Config {
    /// The services of this crate. Begins to consume in the background.
    #[must_use]
    pub fn build(self, dependencies: Dependencies) -> Routes {
        metrics::describe();
        let Dependencies {
            stores,
            bus,
            clock,
            background,
            health,
            drain,
        } = dependencies;
        let store = stores.activity;
        health.depends(ACTIVITY_SERVICE, "store", Need::Required, store.clone());
        // The wall is read without it: new entries are late.
        let check = Arc::new(bus.clone());
        health.depends(ACTIVITY_SERVICE, "bus", Need::Degraded, check);
        health.depends(DEAD_LETTER_SERVICE, "store", Need::Required, store.clone());

        let newest = Newest::default();
        Projection::new(store.clone(), newest.clone(), clock.clone()).spawn(
            &bus,
            &clock,
            &background,
        );
        Lookout::new(store.clone(), newest.clone()).spawn(&background);
        Pruning::new(store.clone(), clock.clone(), self.activity_retention).spawn(&background);
        let wake = Wake::default();
        Publisher {
            service: SERVICE,
            store: stores.outbox,
            bus: bus.clone(),
            wake: wake.clone(),
            clock: clock.clone(),
        }
        .spawn(&background);
        let topics = Desk::new(stores.dead_letters.clone(), clock.clone()).spawn(&bus, &background);
        let replays = Replays::new(stores.dead_letters, topics, wake, clock);
        let activity = ActivityApi::new(store, newest, drain);
        Routes::new(ActivityServiceServer::new(activity))
            .add_service(DeadLetterServiceServer::new(DeadLetterApi::new(replays)))
    }
}
