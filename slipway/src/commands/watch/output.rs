//! Where entries and remarks go: entries to standard output, remarks to standard error.

use std::io::{self, Write as _};

use super::entry::Entry;
use crate::text::escape;

/// How entries are printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) json: bool,
    pub(super) colour: bool,
}

impl Output {
    /// Prints an entry; `data` is its JSON as it came.
    pub(super) fn entry(self, entry: &Entry, data: &str) -> io::Result<()> {
        if self.json {
            // Line breaks in JSON text only stand between its parts.
            writeln!(io::stdout(), "{}", data.replace(['\r', '\n'], " "))
        } else {
            writeln!(io::stdout(), "{}", entry.line(self.colour))
        }
    }

    /// Says something about the connection.
    pub(super) fn remark(self, text: &str) {
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(io::stderr(), "slipway: {}", escape(text));
    }
}
