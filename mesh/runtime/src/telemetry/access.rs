//! The access log: one line for each request of a client, written when its answer begins. It
//! contains the route's template and never the path, the query, a header or a body, so it contains
//! no secrets.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use uuid::Uuid;

use super::TraceContext;

/// The sender of a request, as far as it is determined during the request. It is stored in the
/// request's extensions; all clones share it.
#[derive(Debug, Clone, Default)]
pub struct Requester(Arc<Details>);

#[derive(Debug, Default)]
struct Details {
    user: OnceLock<Uuid>,
    forwarded_for: OnceLock<IpAddr>,
}

impl Requester {
    /// Records the account.
    pub fn is_user(&self, id: Uuid) {
        // Only the first value is stored: its caller has verified it.
        let _ = self.0.user.set(id);
    }

    /// Records that another process of the mesh forwards the request for the client at this
    /// address.
    pub fn is_forwarded_for(&self, client: IpAddr) {
        let _ = self.0.forwarded_for.set(client);
    }
}

/// The request and its result.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// An HTTP request.
    Http {
        /// For instance `GET`.
        method: &'static str,
        /// The route's template.
        route: &'a str,
        /// For instance 200.
        status: u16,
    },
    /// A gRPC call.
    Grpc {
        /// Full name of the method, with its service.
        method: &'static str,
        /// For instance `Ok`.
        code: tonic::Code,
    },
}

/// Writes the line of a request from `peer` that took `elapsed`.
pub fn log(
    outcome: Outcome<'_>,
    requester: &Requester,
    peer: Option<IpAddr>,
    elapsed: Duration,
    trace: TraceContext,
) {
    let client = requester.0.forwarded_for.get().copied().or(peer);
    let client = client.map(tracing::field::display);
    let user = requester.0.user.get().map(tracing::field::display);
    let duration_ms = elapsed.as_micros() as f64 / 1e3;
    let trace_id = trace.trace_id();
    match outcome {
        Outcome::Http {
            method,
            route,
            status,
        } => tracing::info!(
            target: "slipway::access",
            parent: None,
            method, route, status, duration_ms, client, user, trace_id,
            "request"
        ),
        Outcome::Grpc { method, code } => tracing::info!(
            target: "slipway::access",
            parent: None,
            method, ?code, duration_ms, client, user, trace_id,
            "call"
        ),
    }
}
