//! Limits on the connections and requests of a process.

use std::time::Duration;

use axum::response::IntoResponse as _;
use http::StatusCode;
use slipway_rpc::{
    access::{CallRates, Rates, StreamLimits},
    http::{Connections, Limits, Protocol, Serving, TrustedProxies},
};
use slipway_runtime::life;

use crate::config::Settings;

/// Requests in progress, in total; as many again may wait for their bodies.
const REQUESTS: usize = 4096;

/// Total bytes of complete responses that clients have not read yet.
const ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// Total bytes of request bodies that are being received or processed.
const BODY_BYTES: usize = 64 * 1024 * 1024;

/// Connections to the ops port. They have reserved file descriptors, so that health checks work
/// even when clients use up all others.
const OPS_CONNECTIONS: usize = 64;

/// Limits of client connections, to all listeners except the ops port.
pub(super) fn clients(settings: &Settings) -> Connections {
    let (wanted, possible) = (settings.max_connections, life::files_for_clients());
    if possible < wanted {
        tracing::warn!(
            max_connections = wanted,
            used = possible,
            "limit of open files allows fewer client connections than configured"
        );
    }
    let limits = Limits {
        connections: wanted.min(possible),
        requests: REQUESTS,
        answer_bytes: ANSWER_BYTES,
        body_bytes: BODY_BYTES,
        per_client_percent: settings.per_client_percent,
    };
    match &settings.trusted_proxies {
        None => Connections::new(limits),
        Some(networks) => {
            if networks.are_everything() {
                tracing::warn!(
                    "SLIPWAY_TRUSTED_PROXIES trusts every address: each client can claim to be any \
                     other. Name the networks of the proxies alone"
                );
            }
            let proxies = TrustedProxies::new(networks.clone(), settings.forwarded_header);
            Connections::behind(proxies, limits)
        }
    }
}

/// Limits of open streams, separately for the gateway and for the gRPC services.
pub(super) fn streams(settings: &Settings) -> StreamLimits {
    StreamLimits::new(settings.streams_per_user, settings.max_connections)
}

/// Limits of calls in a minute, for all services of the process together.
pub(super) fn rates(settings: &Settings) -> CallRates {
    CallRates::new(Rates {
        per_account: settings.user_rate,
        per_address: settings.address_rate,
        sign_ins: settings.sign_in_rate,
    })
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
