//! The access log: a line for each request of a client, when its answer begins. It has the
//! route's template and never the path, the query, a header or a body, so it holds no secret.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use uuid::Uuid;

use super::TraceContext;

/// Who sent a request, as far as it is found out while it is answered. Travels in the
/// request's extensions; the clones are one.
#[derive(Debug, Clone, Default)]
pub struct Requester(Arc<Details>);

#[derive(Debug, Default)]
struct Details {
    user: OnceLock<Uuid>,
    forwarded_for: OnceLock<IpAddr>,
}

impl Requester {
    /// It is this account.
    pub fn is_user(&self, id: Uuid) {
        // The first to say so has verified it.
        let _ = self.0.user.set(id);
    }

    /// Another process of the mesh forwards it for the client at this address.
    pub fn is_forwarded_for(&self, client: IpAddr) {
        let _ = self.0.forwarded_for.set(client);
    }
}

/// What was asked for, and what came of it.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// Over HTTP.
    Http {
        /// Such as `GET`.
        method: &'static str,
        /// The route's template.
        route: &'a str,
        /// Such as 200.
        status: u16,
    },
    /// Over gRPC.
    Grpc {
        /// With its service.
        method: &'static str,
        /// Such as `Ok`.
        code: tonic::Code,
    },
}

/// Writes the line of a request that came from `peer` and took `elapsed`.
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
