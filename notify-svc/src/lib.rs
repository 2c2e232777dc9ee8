//! notify-svc: the wall of activity.
//!
//! A consumer projects the events of all topics into one log, numbered 1, 2, 3, … without
//! gaps; `ActivityService` reads it page by page and as a stream.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`activity`] | entries, how each event reads, filters: pure |
//! | [`store`] | the log in a database |
//! | `grpc` | `slipway.notify.v1.ActivityService` |
//! | `jobs` | projection, pruning, looking out for other replicas' entries |

pub mod activity;
mod grpc;
mod jobs;
mod metrics;
mod newest;
pub mod store;

use std::{path::Path, sync::Arc, time::Duration};

use slipway_mesh::{
    bus::SharedBus,
    clock::SharedClock,
    life::{Background, Health, Need},
    store::{mongo, sqlite::StorageError},
};
use slipway_proto::notify::v1::activity_service_server::ActivityServiceServer;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use grpc::ActivityApi;
use jobs::{Lookout, Projection, Pruning};
use newest::Newest;
use store::{ActivityStore, MongoActivityStore, SqliteActivityStore};

const ACTIVITY_SERVICE: &str = "slipway.notify.v1.ActivityService";

/// Full protobuf names of what this crate serves.
pub const SERVICES: &[&str] = &[ACTIVITY_SERVICE];

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
}

impl Stores {
    /// Opens or creates the SQLite file at `path`. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, StorageError> {
        Ok(Self {
            activity: Arc::new(SqliteActivityStore::open(path)?),
        })
    }

    /// Opens the MongoDB database `name`, usually [`store::mongo::DATABASE`].
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub async fn mongo(client: &mongo::Client, name: &str) -> Result<Self, mongo::StorageError> {
        Ok(Self {
            activity: Arc::new(MongoActivityStore::open(client, name).await?),
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
            stores: Stores { activity: store },
            bus,
            clock,
            background,
            health,
            drain,
        } = dependencies;
        health.depends(ACTIVITY_SERVICE, "store", Need::Required, store.clone());
        // The wall is read without it: new entries are late.
        let check = Arc::new(bus.clone());
        health.depends(ACTIVITY_SERVICE, "bus", Need::Degraded, check);

        let newest = Newest::default();
        Projection::new(store.clone(), newest.clone(), clock.clone()).spawn(
            &bus,
            &clock,
            &background,
        );
        Lookout::new(store.clone(), newest.clone()).spawn(&background);
        Pruning::new(store.clone(), clock, self.activity_retention).spawn(&background);
        Routes::new(ActivityServiceServer::new(ActivityApi::new(
            store, newest, drain,
        )))
    }
}
