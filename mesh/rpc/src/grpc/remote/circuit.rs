//! The circuit breaker of a service: how many of its addresses accept calls.

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::metrics as m;

/// State shared by the addresses of one service.
#[derive(Debug)]
pub(super) struct Circuit {
    /// The name of the service in the log and the metrics.
    pub(super) service: &'static str,
    /// Locked while the gauge is set, so that the gauge always has the latest value.
    up: Mutex<u32>,
    /// Notified when an address changes: a call that waits for a first connection checks again.
    pub(super) changed: Notify,
    /// Notified when an address is lost: its names may resolve to others by now.
    pub(super) lost: Notify,
}

impl Circuit {
    pub(super) fn new(service: &'static str) -> Self {
        let circuit = Self {
            service,
            up: Mutex::new(0),
            changed: Notify::new(),
            lost: Notify::new(),
        };
        circuit.show(0);
        circuit
    }

    /// One more address accepts calls.
    pub(super) fn joined(&self) {
        let mut up = self.up.lock();
        *up += 1;
        self.show(*up);
        if *up == 1 {
            tracing::info!(service = self.service, "service reachable again");
        }
        drop(up);
        self.changed.notify_waiters();
    }

    /// One address fewer accepts calls, because of `cause`.
    pub(super) fn left(&self, cause: &str) {
        let mut up = self.up.lock();
        *up = up.saturating_sub(1);
        self.show(*up);
        if *up == 0 {
            let service = self.service;
            tracing::warn!(
                service,
                error = cause,
                "service unreachable: circuit breaker open"
            );
        }
        drop(up);
        self.lost.notify_one();
        self.changed.notify_waiters();
    }

    fn show(&self, up: u32) {
        metrics::gauge!(m::LINK_ADDRESSES, "service" => self.service).set(up);
        let open = if up == 0 { 1.0 } else { 0.0 };
        metrics::gauge!(m::LINK_OPEN, "service" => self.service).set(open);
    }
}
