//! The library's log, and what keeps it from its brokers.

use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel as Level,
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use slipway_bus::BusError;

use crate::bus_error;

/// Sends the library's log to `tracing` and remembers why the brokers cannot be reached:
/// a request that was never sent fails with nothing but a timeout.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Option<Trouble>>>);

#[derive(Debug)]
struct Trouble {
    /// The broker, or its certificate, does not suit: trying again does not help.
    refused: bool,
    reason: String,
}

impl Watch {
    /// A broker has answered.
    pub(super) fn all_is_well(&self) {
        *self.0.lock() = None;
    }

    /// What a request failed of.
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
        // That all brokers are down says less than why each of them is.
        if code != Some(Code::AllBrokersDown) {
            *self.0.lock() = Some(Trouble {
                refused: matches!(code, Some(Code::Authentication | Code::SSL))
                    || is_about_our_certificate(reason),
                reason: reason.to_owned(),
            });
        }
    }
}

/// Whether the broker refuses the certificate that it was shown, or that there was none. In
/// TLS 1.3 it says so after the handshake, and the library knows only that reading failed.
fn is_about_our_certificate(reason: &str) -> bool {
    let named = ["certificate", "unknown ca"];
    reason.contains("SSL alert") && named.iter().any(|named| reason.contains(named))
}

/// A broker that cannot be reached is no error of this process: the library connects
/// again, and what fails because of it says so itself.
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
