//! The library's log.

use rdkafka::{ClientContext, config::RDKafkaLogLevel as Level, error::KafkaError};

/// Sends the library's log to `tracing`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logging;

impl ClientContext for Logging {
    fn log(&self, level: Level, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }
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
