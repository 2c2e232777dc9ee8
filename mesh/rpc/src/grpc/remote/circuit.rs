//! Whether a service can be reached at all: how many of its addresses take calls.

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::metrics as m;

/// What the addresses of one service have in common.
#[derive(Debug)]
pub(super) struct Circuit {
    /// What the service is called, for the log and the metrics.
    pub(super) service: &'static str,
    /// Held while the number is shown, so that the last one shown is the last one.
    up: Mutex<u32>,
    /// Something has changed: a call that waits for its first answer looks again.
    pub(super) changed: Notify,
    /// An address was lost: the names may stand for others by now.
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

    /// One more address takes calls.
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

    /// One address fewer takes calls, because of `cause`.
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
