//! One entry of the wall as a line.

use jiff::Timestamp;
use serde::Deserialize;

use crate::text::escape;

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// What a line shows of an entry.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    /// Its place on the wall.
    pub(super) sequence: u64,
    #[serde(rename = "type")]
    kind: String,
    time: Timestamp,
    summary: String,
}

/// Numbers that the server no longer has.
#[derive(Debug, Deserialize)]
pub(super) struct Gap {
    from: u64,
    to: u64,
}

impl Entry {
    /// Number, date and time in UTC, type, summary. The server's texts come from other users, so
    /// nothing in them may act on the terminal.
    pub(super) fn line(&self, colour: bool) -> String {
        let (sequence, time) = (self.sequence, self.time.strftime("%F %T"));
        let (kind, summary) = (escape(&self.kind), escape(&self.summary));
        if colour {
            format!("{DIM}#{sequence} {time}{PLAIN} {BOLD}{kind}{PLAIN}  {summary}")
        } else {
            format!("#{sequence} {time} {kind}  {summary}")
        }
    }
}

impl Gap {
    /// A sentence that says which numbers are gone.
    pub(super) fn sentence(&self) -> String {
        let Self { from, to } = self;
        if from == to {
            format!("entry #{from} is gone: the server no longer keeps it")
        } else {
            format!("entries #{from} to #{to} are gone: the server no longer keeps them")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(summary: &str) -> Entry {
        serde_json::from_value(serde_json::json!({
            "sequence": 17, "id": "0198", "type": "task.started",
            "time": "2026-11-21T10:32:05.123Z", "actor": null, "subject": "x",
            "summary": summary, "data": {},
        }))
        .unwrap()
    }

    #[test]
    fn a_line_is_number_date_time_type_and_summary() {
        let line = entry(r#"ada started "Build images" (Kubernetes 1.31)"#).line(false);
        assert_eq!(
            line,
            r#"#17 2026-11-21 10:32:05 task.started  ada started "Build images" (Kubernetes 1.31)"#
        );
    }

    #[test]
    fn nothing_in_a_summary_acts_on_the_terminal() {
        let line = entry("a\x1b]0;owned\x07\nb\u{202e}c").line(false);
        assert!(line.ends_with("a\\u{1b}]0;owned\\u{7}\\nb\\u{202e}c"));
        assert!(!line.contains(char::is_control));
    }

    #[test]
    fn colour_frames_the_number_and_the_type_only() {
        let line = entry("done").line(true);
        assert!(
            line.ends_with("\x1b[1mtask.started\x1b[0m  done"),
            "{line:?}"
        );
    }

    #[test]
    fn a_gap_says_which_numbers_are_gone() {
        let gap = Gap { from: 1, to: 9 };
        assert!(gap.sentence().starts_with("entries #1 to #9 are gone"));
        assert!(Gap { from: 4, to: 4 }.sentence().starts_with("entry #4 is"));
    }
}
