//! Slipway's way in: REST and server-sent events outside, gRPC inside.
//!
//! A request passes the `middleware` (trace, request id, metrics, deadline, size), is
//! read by an extractor of `extract`, and reaches a handler of `routes`, which
//! translates it into a call of a service and the answer into a shape of `model`.
//! Whatever goes wrong becomes a `problem`. The wall of activity is served by
//! `activity`: one stream from notify-svc, fanned out to every client.
//!
//! The gateway decides nothing. Its check of tokens is a courtesy, so that a client hears
//! early that it has to sign in; who may do what is decided by the services, to which the
//! client's token is forwarded.

mod activity;
mod app;
mod body;
mod error_rate;
mod etag;
mod extract;
mod metrics;
mod middleware;
mod model;
mod operation;
mod problem;
mod routes;
mod sse;
mod strict;

use std::{sync::Arc, time::Duration};

use axum::{Router, response::IntoResponse as _};
use slipway_rpc::{
    access::{ServiceTokens, StreamLimits, Verifier},
    grpc::Link,
};
use slipway_runtime::{clock::SharedClock, life::Background};
use tokio_util::sync::CancellationToken;

use app::App;

/// How the gateway behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long a service may take to answer a request, and a client to send its body. The
    /// client hears of it a second later at the latest.
    pub request_deadline: Duration,
    /// Whether clients reach Slipway by https: then the cookie is sent over nothing else.
    pub https: bool,
    /// The stream of activity.
    pub stream: StreamConfig,
    /// Whether there is a line in the log for each request.
    pub access_log: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request_deadline: Duration::from_secs(10),
            https: false,
            stream: StreamConfig::default(),
            access_log: false,
        }
    }
}

/// How the stream of activity behaves.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// After this long without an entry a comment line shows that the stream is alive.
    pub heartbeat: Duration,
    /// How long clients are asked to wait before they connect again.
    pub retry: Duration,
    /// How many entries a reader may be behind (at least 1). One that falls further behind
    /// is disconnected, and resumes where it was.
    pub reader_bound: usize,
    /// How many missed entries are fetched at once when a reader resumes, 1 to 1,000.
    pub catch_up_page: u16,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            retry: Duration::from_secs(2),
            reader_bound: 4096,
            catch_up_page: 10,
        }
    }
}

/// What the gateway needs.
pub struct Dependencies {
    /// The identity, release and task services.
    pub release: Link,
    /// The forum service.
    pub forum: Link,
    /// The chat service.
    pub chat: Link,
    /// The services of notify-svc.
    pub notify: Link,
    /// Verifies the tokens of clients.
    pub verifier: Arc<Verifier>,
    /// What programs that send alerts show; `None`: there is no such address.
    pub webhook_secret: Option<String>,
    /// The gateway's own token, for what it does for itself.
    pub services: Arc<ServiceTokens>,
    /// Runs that stream.
    pub background: Background,
    /// Cancelled when the process begins to drain: streams say goodbye.
    pub drain: CancellationToken,
    /// The time.
    pub clock: SharedClock,
    /// How many streams of activity are open.
    pub streams: StreamLimits,
}

/// The answer to a request that the process refuses before anything is made of it.
#[must_use]
pub fn refusal(fault: slipway_rpc::error::Fault) -> axum::response::Response {
    problem::Problem::from(fault).into_response()
}

impl Config {
    /// Everything the gateway serves. Begins to follow the activity log in the background.
    pub fn build(self, dependencies: Dependencies) -> Router {
        metrics::describe();
        let (deadline, access_log) = (self.request_deadline, self.access_log);
        let app = Arc::new(App::new(self, dependencies));
        routes::router(app, deadline, access_log)
    }
}
