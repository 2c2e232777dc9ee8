//! Prints entries to standard output and remarks to standard error.

use std::io::{self, Write};

use super::entry::Entry;
use crate::text::{escape, escape_json};

/// How and where entries are printed.
pub(super) struct Output<'a> {
    pub(super) json: bool,
    pub(super) colour: bool,
    pub(super) entries: &'a mut dyn Write,
    pub(super) remarks: &'a mut dyn Write,
}

impl Output<'_> {
    /// Prints an entry; `data` is its JSON as received.
    pub(super) fn entry(&mut self, entry: &Entry, data: &str) -> io::Result<()> {
        if self.json {
            writeln!(self.entries, "{}", escape_json(data))
        } else {
            writeln!(self.entries, "{}", entry.line(self.colour))
        }
    }

    /// Prints a remark about the connection.
    pub(super) fn remark(&mut self, text: &str) {
        // Ignore a closed standard error.
        let _ = writeln!(self.remarks, "slipway: {}", escape(text));
    }
}
