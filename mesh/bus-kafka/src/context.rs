//! The library's log, and why its brokers are unreachable.

use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel as Level,
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use slipway_bus::BusError;

use crate::bus_error;

/// Sends the library's log to `tracing` and stores why the brokers are unreachable: a request that
/// was never sent fails only with a timeout.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Option<Trouble>>>);

#[derive(Debug)]
struct Trouble {
    /// The broker refuses this client, or its certificate is not trusted: another try does not
    /// help.
    refused: bool,
    reason: String,
}

impl Watch {
    /// Notes that a broker has answered.
    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }

    /// The error of a request, with the stored reason if there is one.
    pub(super) fn explain(&self, error: KafkaError) -> BusError {
        match &*self.0.lock() {
            None => bus_error(error),
            Some(Trouble { refused, reason }) if *refused => BusError::Refused(reason.clone()),
            Some(Trouble { reason, .. }) => BusError::Unavailable(reason.clone()),
        }
    }
}

impl ClientContext for Watch {
    fn log(&self, level: Level, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        let code = error.rdkafka_error_code();
        // The reasons of the single brokers say more than that all brokers are down.
        if code != Some(Code::AllBrokersDown) {
            *self.0.lock() = Some(Trouble {
                refused: matches!(code, Some(Code::Authentication | Code::SSL))
                    || is_about_our_certificate(reason),
                reason: reason.to_owned(),
            });
        }
    }
}

/// Whether the broker refuses this client's certificate, or that it has none. In TLS 1.3 the broker
/// says so after the handshake, and the library only reports that reading failed.
fn is_about_our_certificate(reason: &str) -> bool {
    let named = ["certificate", "unknown ca"];
    reason.contains("SSL alert") && named.iter().any(|named| reason.contains(named))
}

/// Logs a line of the library. An unreachable broker is not an error of this process: the library
/// reconnects, and operations that fail because of it are reported by themselves.
pub(super) fn log(level: Level, facility: &str, text: &str) {
    match level {
        Level::Emerg | Level::Alert | Level::Critical => {
            tracing::error!(facility, text, "kafka");
        }
        Level::Error | Level::Warning => tracing::warn!(facility, text, "kafka"),
        Level::Notice | Level::Info => tracing::info!(facility, text, "kafka"),
        Level::Debug => tracing::debug!(facility, text, "kafka"),
    }
}
