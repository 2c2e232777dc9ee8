//! How many connections and requests a process serves at the same time.

use std::time::Duration;

use axum::response::IntoResponse as _;
use http::StatusCode;
use slipway_rpc::{
    access::StreamLimits,
    http::{Connections, Limits, Protocol, Serving},
};
use slipway_runtime::life;

use crate::config::Settings;

/// Requests that are worked on, in all; and again as many that wait for their bodies.
const REQUESTS: usize = 4096;

/// Bytes of complete answers that wait for their clients to read them, in all.
const ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// Bytes of the bodies of requests that arrive or are worked on, in all.
const BODY_BYTES: usize = 64 * 1024 * 1024;

/// Connections to the ops port. It has files of its own, so that health is answered whatever
/// clients do.
const OPS_CONNECTIONS: usize = 64;

/// The connections of clients, to all listeners but the ops port.
pub(super) fn clients(settings: &Settings) -> Connections {
    let (wanted, possible) = (settings.max_connections, life::files_for_clients());
    if possible < wanted {
        tracing::warn!(
            max_connections = wanted,
            used = possible,
            "the limit of open files allows fewer client connections than configured"
        );
    }
    Connections::new(Limits {
        connections: wanted.min(possible),
        requests: REQUESTS,
        answer_bytes: ANSWER_BYTES,
        body_bytes: BODY_BYTES,
        per_client_percent: settings.per_client_percent,
    })
}

/// The open streams of one of the two ways in: the gateway's, or that of the gRPC services.
pub(super) fn streams(settings: &Settings) -> StreamLimits {
    StreamLimits::new(settings.streams_per_user, settings.max_connections)
}

/// How the ops port is served.
pub(super) fn ops() -> Serving {
    let limits = Limits {
        connections: OPS_CONNECTIONS,
        requests: OPS_CONNECTIONS,
        answer_bytes: ANSWER_BYTES,
        body_bytes: BODY_BYTES,
        per_client_percent: 100,
    };
    Serving {
        name: "ops",
        protocol: Protocol::Http,
        connections: Connections::new(limits),
        tls: None,
        refusal: |_| StatusCode::SERVICE_UNAVAILABLE.into_response(),
        drain: Duration::ZERO,
    }
}
