//! Where entries and remarks go: entries to standard output, remarks to standard error.

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
    /// Prints an entry; `data` is its JSON as it came.
    pub(super) fn entry(&mut self, entry: &Entry, data: &str) -> io::Result<()> {
        if self.json {
            writeln!(self.entries, "{}", escape_json(data))
        } else {
            writeln!(self.entries, "{}", entry.line(self.colour))
        }
    }

    /// Says something about the connection.
    pub(super) fn remark(&mut self, text: &str) {
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(self.remarks, "slipway: {}", escape(text));
    }
}
