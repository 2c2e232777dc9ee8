//! Logs: for people on a terminal, JSON for machines; always to standard error, so that
//! standard output belongs to commands.
//!
//! In JSON nothing else may stand between the lines: a panic is one of them, and so is the
//! reason why a process ends.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    env,
    ffi::OsString,
    io::{self, IsTerminal, Write as _},
    panic,
};

use jiff::Timestamp;
use serde_json::json;
use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt, prelude::*};

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

/// Whether to write colours to `stream`: to a terminal that has them, unless the user does
/// not want them (`NO_COLOR` set and not empty, as no-color.org says).
#[must_use]
pub fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && are_wanted(env::var_os("NO_COLOR"), env::var_os("TERM"))
}

fn are_wanted(no_color: Option<OsString>, term: Option<OsString>) -> bool {
    let refused = no_color.is_some_and(|value| !value.is_empty());
    !refused && term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// A filter such as `info` or `info,mesh=debug`.
///
/// # Errors
/// A text that says what is wrong with it.
pub fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    // The parser takes any word that is no level for the name of a module, of which nothing
    // would be logged then.
    for word in text.split(',').map(str::trim) {
        let is_word = !word.contains(['=', '[', ':']) && !word.is_empty();
        if is_word && word.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "{word:?} is no level: off, error, warn, info, debug and trace are; the level of \
                 one module is written module=level"
            ));
        }
    }
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
                .with_ansi(colours(&io::stderr()));
            registry.with(layer).try_init()
        }
        Format::Json => {
            let layer = fmt::layer()
                .json()
                .flatten_event(true)
                .with_writer(io::stderr);
            log_panics();
            registry.with(layer).try_init()
        }
    };
    if result.is_err() {
        tracing::debug!("logging already initialised");
    }
}

/// Makes every panic from now on a line of the log, instead of the several that the standard
/// library writes.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("a panic without a text");
        let place = info.location().map(ToString::to_string);
        let thread = std::thread::current();
        // Empty unless RUST_BACKTRACE asks for it.
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

/// Says on standard error why the program ends, whatever the filter of the log is.
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
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_no_filter() {
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
            assert!(refused.contains("is no level"), "{refused}");
        }
    }

    #[test]
    fn colours_need_a_terminal_that_has_them_and_a_user_who_wants_them() {
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
