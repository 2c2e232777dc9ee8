//! The log: plain text for people on a terminal, JSON for machines; always on standard error,
//! because standard output is for the output of commands.
//!
//! In the JSON format, nothing but JSON lines may be written: a panic is logged as such a line, and
//! so is the reason why a process ends.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    env,
    ffi::OsString,
    io::{self, IsTerminal, Write as _},
    panic,
};

use jiff::Timestamp;
use serde_json::json;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, filter::LevelFilter, fmt, prelude::*, registry::LookupSpan,
};

use super::spans::Exporter;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

impl Format {
    /// For people if standard error is a terminal, otherwise JSON.
    #[must_use]
    pub fn for_stderr() -> Self {
        if io::stderr().is_terminal() {
            Self::Human
        } else {
            Self::Json
        }
    }
}

/// Whether to write colours to `stream`: if it is a terminal that supports them, and the user has
/// not disabled them (`NO_COLOR` set and not empty, see no-color.org).
#[must_use]
pub fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && are_wanted(env::var_os("NO_COLOR"), env::var_os("TERM"))
}

fn are_wanted(no_color: Option<OsString>, term: Option<OsString>) -> bool {
    let refused = no_color.is_some_and(|value| !value.is_empty());
    !refused && term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Parses a filter such as `info` or `info,mesh=debug`.
///
/// # Errors
/// A text that says what is wrong with it.
pub fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    // The parser would take any other word as the name of a module, and then log nothing but this
    // module.
    for word in text.split(',').map(str::trim) {
        let is_word = !word.contains(['=', '[', ':']) && !word.is_empty();
        if is_word && word.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "{word:?} is not a level: off, error, warn, info, debug and trace are; the level \
                 of one module is written module=level"
            ));
        }
    }
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| error.to_string())
}

/// Starts logging in this process, and the export of its spans. A second call has no effect.
pub fn init(filter: EnvFilter, format: Format, exporter: Option<&Exporter>) {
    // A filter for everything is faster than one for each layer, which every event of every library
    // would pass.
    let registry = tracing_subscriber::registry();
    let result = match exporter {
        None => registry.with(filter).with(lines(format)).try_init(),
        Some(exporter) => {
            let lines = lines(format).with_filter(filter);
            registry.with(exporter.layer()).with(lines).try_init()
        }
    };
    if format == Format::Json {
        log_panics();
    }
    if result.is_err() {
        tracing::debug!("logging already initialised");
    }
}

/// The layer that writes log lines.
fn lines<S>(format: Format) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        Format::Human => fmt::layer()
            .with_writer(io::stderr)
            .with_target(false)
            .with_ansi(colours(&io::stderr()))
            .boxed(),
        Format::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(io::stderr)
            .boxed(),
    }
}

/// From now on logs every panic as one line, instead of the several lines of the standard library.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("a panic without a text");
        let place = info.location().map(ToString::to_string);
        let thread = std::thread::current();
        // The backtrace is empty unless RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        let backtrace =
            (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(
            panic = text,
            place,
            thread = thread.name(),
            backtrace,
            "thread panicked"
        );
    }));
}

/// Writes to standard error why the program ends, whatever the log filter is.
pub fn last_words(format: Format, text: &str) {
    let line = match format {
        Format::Human => format!("slipway: {text}"),
        Format::Json => json!({
            "timestamp": Timestamp::now().to_string(),
            "level": "ERROR",
            "message": text,
            "target": "slipway",
        })
        .to_string(),
    };
    // If standard error is closed, the text cannot be written anywhere.
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_a_level_is_refused() {
        for fine in [
            "info",
            "WARN",
            "off",
            "info,slipway_bus=debug",
            "warn,slipway::x=trace",
        ] {
            assert!(parse_filter(fine).is_ok(), "{fine}");
        }
        for wrong in ["warning", "debg", "none", "info,verbose"] {
            let refused = parse_filter(wrong).unwrap_err();
            assert!(refused.contains("is not a level"), "{refused}");
        }
    }

    #[test]
    fn colours_need_a_terminal_with_support_and_no_opt_out() {
        let wanted = |no_color: Option<&str>, term: Option<&str>| {
            are_wanted(no_color.map(Into::into), term.map(Into::into))
        };
        assert!(wanted(None, Some("xterm-256color")));
        assert!(wanted(Some(""), Some("xterm")));
        assert!(!wanted(Some("1"), Some("xterm")));
        assert!(!wanted(None, Some("dumb")));
        assert!(!wanted(None, Some("")));
        assert!(!wanted(None, None));
    }
}
