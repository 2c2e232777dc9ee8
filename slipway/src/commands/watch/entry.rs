//! Formats an activity entry as a line.

use jiff::Timestamp;
use serde::Deserialize;

use crate::text::escape;

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The fields of an entry that a line shows.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    /// Its number in the activity log.
    pub(super) sequence: u64,
    #[serde(rename = "type")]
    kind: String,
    time: Timestamp,
    summary: String,
}

/// Numbers that no longer exist on the server, or do not exist yet.
#[derive(Debug, Deserialize)]
pub(super) struct Gap {
    from: u64,
    to: u64,
}

impl Entry {
    /// Number, date and time in UTC, type, summary. The texts come from other users, so control
    /// characters are escaped.
    pub(super) fn line(&self, colour: bool) -> String {
        let (sequence, time) = (self.sequence, self.time.strftime("%F %TZ"));
        let (kind, summary) = (escape(&self.kind), escape(&self.summary));
        if colour {
            format!("{DIM}#{sequence} {time}{PLAIN} {BOLD}{kind}{PLAIN}  {summary}")
        } else {
            format!("#{sequence} {time} {kind}  {summary}")
        }
    }
}

impl Gap {
    /// A sentence that says which numbers are missing, and why. The stream continues after
    /// `position`: the last of them, or the newest entry if that is before the first of them.
    pub(super) fn sentence(&self, position: Option<u64>) -> String {
        let Self { from, to } = *self;
        let (entries, are, them) = match from == to {
            true => (format!("entry #{from}"), "is", "it"),
            false => (format!("entries #{from} to #{to}"), "are", "them"),
        };
        match position.filter(|last| *last < from) {
            Some(0) => format!("{entries} {are} not there: the server has no entries yet"),
            Some(newest) => format!("{entries} {are} not there: the newest is #{newest}"),
            None => format!("{entries} {are} gone: the server no longer keeps {them}"),
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
            r#"#17 2026-11-21 10:32:05Z task.started  ada started "Build images" (Kubernetes 1.31)"#
        );
    }

    #[test]
    fn control_characters_in_a_summary_are_escaped() {
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
    fn a_gap_says_which_numbers_are_missing() {
        let sentence = |from, to, position| Gap { from, to }.sentence(Some(position));
        assert!(sentence(1, 9, 9).starts_with("entries #1 to #9 are gone"));
        assert!(sentence(4, 4, 4).starts_with("entry #4 is gone"));
        assert_eq!(
            sentence(5, 9, 4),
            "entries #5 to #9 are not there: the newest is #4"
        );
        assert!(sentence(1, 1, 0).ends_with("the server has no entries yet"));
    }
}
