//! Tables on standard output: within the width of a terminal, with colours if it has them.

use std::io::{self, IsTerminal as _};

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets::NOTHING};
use jiff::Timestamp;
use slipway_runtime::telemetry::logs;

use crate::{output, text::escape};

/// Characters of the end of an id that a table shows. The beginning is the time, which tasks that
/// were planned together share.
const SHORT_ID: usize = 8;

/// Blanks between columns.
const GAP: u16 = 2;

/// How a cell looks where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// As it is.
    Plain,
    /// Of less importance.
    Dim,
    /// It is going on.
    Active,
    /// It is possible, or done.
    Good,
    /// It needs attention.
    Urgent,
}

/// Rows below their headings.
pub(super) struct Rows {
    table: Table,
    colours: bool,
}

impl Rows {
    /// A table for standard output.
    pub(super) fn new(headings: &[&str]) -> Self {
        let out = io::stdout();
        Self::of(headings, out.is_terminal(), logs::colours(&out))
    }

    fn of(headings: &[&str], is_terminal: bool, colours: bool) -> Self {
        let mut table = Table::new();
        table.load_style(NOTHING);
        match is_terminal {
            true => table.set_content_arrangement(ContentArrangement::Dynamic),
            // Whoever reads it decides how wide it is.
            false => table.force_no_tty(),
        };
        if colours {
            table.enforce_styling();
        }
        let mut rows = Self { table, colours };
        let headings = headings.iter().map(|text| rows.cell(text, Look::Dim));
        let headings: Vec<_> = headings.collect();
        rows.table.set_header(headings);
        for column in rows.table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        rows
    }

    /// Adds a row. The texts are of other users.
    pub(super) fn add(&mut self, cells: &[(&str, Look)]) {
        let cells = cells.iter().map(|(text, look)| self.cell(text, *look));
        let cells: Vec<_> = cells.collect();
        self.table.add_row(cells);
    }

    /// Prints it.
    pub(super) fn print(&self) -> anyhow::Result<()> {
        output::print(&self.text())
    }

    fn text(&self) -> String {
        let lines = self.table.lines();
        lines.map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn cell(&self, text: &str, look: Look) -> Cell {
        let cell = Cell::new(escape(text));
        if !self.colours {
            return cell;
        }
        match look {
            Look::Plain => cell,
            Look::Dim => cell.add_attribute(Attribute::Dim),
            Look::Active => cell.fg(Color::Cyan).add_attribute(Attribute::Bold),
            Look::Good => cell.fg(Color::Green),
            Look::Urgent => cell.fg(Color::Red),
        }
    }
}

/// The end of an id, which names what it is the id of as well.
pub(super) fn short(id: &str) -> &str {
    let start = id.len().saturating_sub(SHORT_ID);
    id.get(start..).unwrap_or(id)
}

/// A time in UTC, to the minute.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%F %H:%MZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_row_and_no_colours_where_nobody_sees_them() {
        let mut rows = Rows::of(&["ID", "TASK"], false, false);
        let wide = "世界 ".repeat(60);
        rows.add(&[("1", Look::Good), (&wide, Look::Active)]);
        rows.add(&[("22", Look::Plain), ("Ship", Look::Plain)]);
        let text = rows.text();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(!text.contains('\x1b'), "{text:?}");
        let starts: Vec<_> = text
            .lines()
            .map(|line| line.find(['T', '世', 'S']))
            .collect();
        assert_eq!(starts[0], starts[1]);
        assert_eq!(starts[0], starts[2]);
    }

    #[test]
    fn a_text_of_others_cannot_act_on_the_terminal() {
        let mut rows = Rows::of(&["TASK"], true, true);
        rows.add(&[("a\x1b]0;owned\x07\nb\u{202e}c", Look::Urgent)]);
        let text = rows.text();
        assert!(!text.contains(['\x07', '\u{202e}']), "{text:?}");
        assert!(!text.contains("\x1b]"), "{text:?}");
    }

    #[test]
    fn a_short_id_is_its_end() {
        assert_eq!(short("01890a5d-ac96-774b-bcce-b302099a8057"), "099a8057");
        assert_eq!(short("abc"), "abc");
    }
}
