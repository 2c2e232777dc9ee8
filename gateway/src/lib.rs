//! API gateway: serves REST and server-sent events to clients, and calls the services by gRPC.
//!
//! A request passes the `middleware` (trace, request id, metrics, deadline, size limit), is read
//! by the extractors of `extract`, and reaches a handler of `routes`, which translates it into a
//! call of a service and the response into a type of `model`. Every error becomes a `problem`. The
//! activity stream is served by `activity`: one stream from notify-svc, broadcast to all clients.
//! The session cookie of a browser is exchanged for a token by `browser`. A browser that opens an
//! address gets a page of the crate `web`, which `pages` connects. `processes` asks every process for
//! its health.
//!
//! The gateway makes no authorization decisions. It verifies tokens only to refuse requests early;
//! the services decide about permissions, and get the client's token.

mod accept;
mod activity;
mod app;
mod body;
mod browser;
mod cors;
mod error_rate;
mod etag;
mod evidence;
mod extract;
pub mod metrics;
mod middleware;
mod model;
mod names;
mod operation;
mod pages;
mod problem;
mod processes;
mod routes;
mod sse;
mod strict;

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware::from_fn_with_state, response::IntoResponse as _};
use http::HeaderValue;
use slipway_rpc::{
    access::{ProgramTokens, ServiceTokens, StreamLimits, Verifier},
    grpc::Link,
};
use slipway_runtime::{clock::SharedClock, life::Background};
use tokio_util::sync::CancellationToken;
use tower::util::option_layer;

use app::App;
use middleware::MiddlewareConfig;

/// Configuration of the gateway.
#[derive(Debug, Clone)]
pub struct Config {
    /// Deadline for a service to answer, and for a client to send its body. The client gets the
    /// error at most one second later.
    pub request_deadline: Duration,
    /// The URL at which users reach Slipway, if the operator has configured it. With https, the
    /// cookie is sent only over https; requests of its pages may use the cookie.
    pub public_url: Option<String>,
    /// Origins of other sites whose pages may call the API.
    pub cors_origins: Vec<HeaderValue>,
    /// The activity stream.
    pub stream: StreamConfig,
    /// Whether each request is logged.
    pub access_log: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request_deadline: Duration::from_secs(10),
            public_url: None,
            cors_origins: Vec::new(),
            stream: StreamConfig::default(),
            access_log: false,
        }
    }
}

/// Configuration of the activity stream.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// A comment line is sent after this time without an entry, to keep the stream alive.
    pub heartbeat: Duration,
    /// The delay before a reconnection, sent to clients.
    pub retry: Duration,
    /// Entries that a reader may be behind (at least 1). A slower reader is disconnected, and
    /// resumes at its position.
    pub reader_bound: usize,
    /// Page size for missed entries when a reader resumes, 1 to 1,000.
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
    /// The processes of this Slipway, each with its name: what administrators see the health of.
    pub processes: Vec<(&'static str, Link)>,
    /// Verifies the tokens of clients.
    pub verifier: Arc<Verifier>,
    /// Bearer token for `POST /hooks/*`; `None`: these routes do not exist.
    pub webhook_secret: Option<String>,
    /// The gateway's own tokens, for calls that no client caused.
    pub services: Arc<ServiceTokens>,
    /// Exchanges the tokens of programs.
    pub programs: Arc<ProgramTokens>,
    /// Runs the stream from the activity log.
    pub background: Background,
    /// Cancelled when the process begins to drain: streams then send a goodbye and end.
    pub drain: CancellationToken,
    /// The clock.
    pub clock: SharedClock,
    /// Limits the open activity streams.
    pub streams: StreamLimits,
}

/// The response to a request that the server refuses before the router.
#[must_use]
pub fn refusal(fault: slipway_rpc::error::Fault) -> axum::response::Response {
    problem::Problem::from(fault).into_response()
}

impl Config {
    /// Builds the router of all routes, and starts to follow the activity log in the background.
    pub fn build(self, dependencies: Dependencies) -> Router {
        metrics::describe();
        ::metrics::gauge!(metrics::STREAM_CLIENTS).increment(0);
        let (deadline, access_log) = (self.request_deadline, self.access_log);
        let cross_origin = cors::layer(&self.cors_origins);
        let app = Arc::new(App::new(self, dependencies));
        let config = MiddlewareConfig {
            deadline,
            errors: Arc::default(),
            access_log,
            https: app.browser.is_secure(),
        };
        let around = from_fn_with_state(config, middleware::middleware);
        let pages = pages::router(Arc::clone(&app)).layer(around.clone());
        routes::router(app)
            .layer(around)
            .layer(from_fn_with_state(pages, pages::beside))
            // Around everything: a browser shows a script of another origin no answer without it.
            .layer(option_layer(cross_origin))
    }
}
