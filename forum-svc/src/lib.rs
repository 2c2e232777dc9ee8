//! forum-svc: discussions, threads of any depth under every task.
//!
//! | to find | look in |
//! | --- | --- |
//! | what a comment may be, who may change it, whom it mentions | [`comment`] (pure) |
//! | how threads are kept in reading order | [`comment::position`] |
//! | how they are read, page by page | [`reading`] |
//! | how a comment is posted: ask, decide, store | `forum` |
//! | what is asked of release-svc | `release` |
//! | what is stored, and how | [`store`] |
//! | `slipway.forum.v1.ForumService` | `grpc` |

pub mod comment;
mod forum;
mod grpc;
mod jobs;
mod metrics;
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

/// Full names of the gRPC services in the routes.
pub const SERVICES: &[&str] = &[forum_service_server::SERVICE_NAME];

/// What the service is built from.
pub struct Dependencies {
    /// Where comments are kept.
    pub stores: Stores,
    /// The task and identity services.
    pub release: Link,
    /// Where events go.
    pub bus: SharedBus,
    /// The time.
    pub clock: SharedClock,
    /// Runs the outbox publisher and the other jobs.
    pub background: Background,
    /// Learns what the service depends on.
    pub health: Health,
}

/// The gRPC services, not yet behind the access layer. Begins the work in the background.
///
/// That release-svc is away is no matter of this service's health: what is there can be
/// read without it.
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
    // Comments are accepted without it: their events wait in the outbox.
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
