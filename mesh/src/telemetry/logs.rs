//! Logs: for people on a terminal, JSON for machines; always to standard error, so that
//! standard output belongs to commands.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// For people if standard error is a terminal, else JSON.
    #[must_use]
    pub fn for_stderr() -> Self {
        if io::stderr().is_terminal() {
            Self::Human
        } else {
            Self::Json
        }
    }
}

/// A filter such as `info` or `info,mesh=debug`.
///
/// # Errors
/// A text that says what is wrong with it.
pub fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| error.to_string())
}

/// Starts logging for this process. A second call changes nothing.
pub fn init(filter: EnvFilter, format: Format) {
    let registry = tracing_subscriber::registry().with(filter);
    let result = match format {
        Format::Human => {
            let layer = fmt::layer()
                .with_writer(io::stderr)
                .with_target(false)
                .with_ansi(io::stderr().is_terminal());
            registry.with(layer).try_init()
        }
        Format::Json => {
            let layer = fmt::layer()
                .json()
                .flatten_event(true)
                .with_writer(io::stderr);
            registry.with(layer).try_init()
        }
    };
    if result.is_err() {
        tracing::debug!("logging had been started before");
    }
}
