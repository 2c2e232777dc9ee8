//! Forum service: discussions on tasks, with threads of any depth.
//!
//! | to find | look in |
//! | --- | --- |
//! | valid comments, who may change them | [`comment`] (pure) |
//! | mentions in a text | [`slipway_mentions`] (pure) |
//! | the reading order of threads | [`comment::position`] |
//! | how threads are read, page by page | [`reading`] |
//! | how a comment is posted: ask, decide, store | `forum` |
//! | calls to release-svc | `release` |
//! | what is stored, and how | [`store`] |
//! | `slipway.forum.v1.ForumService` | `grpc` |

pub mod comment;
mod forum;
mod grpc;
mod jobs;
pub mod metrics;
pub mod reading;
mod release;
pub mod store;

use std::sync::Arc;

use slipway_bus::SharedBus;
use slipway_proto::forum::v1::forum_service_server::{self, ForumServiceServer};
use slipway_rpc::grpc::Link;
use slipway_runtime::{
    clock::SharedClock,
    life::{Background, Health, Need},
};
use slipway_store::outbox::{Publisher, Wake};
use tonic::service::Routes;

pub use store::Stores;

use self::{forum::Forum, release::Release};

/// The service's name in events, metrics and logs.
pub const SERVICE: &str = "forum-svc";

/// Full names of the gRPC services.
pub const SERVICES: &[&str] = &[forum_service_server::SERVICE_NAME];

/// What the service is built from.
pub struct Dependencies {
    /// The database.
    pub stores: Stores,
    /// The task and identity services.
    pub release: Link,
    /// The bus that events are published to.
    pub bus: SharedBus,
    /// The clock.
    pub clock: SharedClock,
    /// Runs the outbox publisher and the other jobs.
    pub background: Background,
    /// Health checks: the service registers its dependencies here.
    pub health: Health,
}

/// Builds the gRPC services, without an access layer, and starts the background work.
///
/// release-svc is not a required dependency in the health check: comments can be read without it.
#[must_use]
pub fn build(dependencies: Dependencies) -> Routes {
    let Dependencies {
        stores,
        release,
        bus,
        clock,
        background,
        health,
    } = dependencies;
    metrics::describe();
    for service in SERVICES {
        let store = Arc::clone(&stores.check);
        health.depends(service, "store", Need::Required, store);
    }
    // Comments are accepted without the bus: their events wait in the outbox.
    health.depends(SERVICE, "bus", Need::Degraded, bus.clone());
    let wake = Wake::default();
    Publisher {
        service: SERVICE,
        store: Arc::clone(&stores.outbox),
        bus,
        wake: wake.clone(),
        clock: clock.clone(),
    }
    .spawn(&background);
    jobs::purge(stores.clone(), clock.clone(), &background);
    jobs::settle(stores.clone(), clock.clone(), &background);
    let forum = Arc::new(Forum {
        stores,
        release: Release::new(release, clock.clone()),
        clock,
        wake,
    });
    Routes::new(ForumServiceServer::new(grpc::ForumApi { forum }))
}
