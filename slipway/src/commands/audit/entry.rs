//! Prints an entry of the audit trail. Its texts come from users, so control characters are escaped.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use slipway_runtime::text::shortened;

use crate::{commands::client::Listed, text::escape};

/// Maximum length of a value on a line, in characters.
const LONGEST: usize = 60;

/// The fields of an entry that a line shows.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    number: u64,
    #[serde(rename = "type")]
    kind: String,
    time: Timestamp,
    actor: Option<Actor>,
    address: Option<String>,
    subject: String,
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Actor {
    username: String,
}

#[derive(Debug, Deserialize)]
struct Change {
    field: String,
    from: Value,
    to: Value,
}

impl Listed for Entry {
    /// Number, time in UTC, type, actor, address, subject, and what was changed.
    fn line(&self) -> String {
        let time = self.time.strftime("%F %TZ");
        let actor = self.actor.as_ref().map_or("system", |by| &by.username);
        let address = self.address.as_deref().unwrap_or("-");
        let (number, kind, subject) = (self.number, &self.kind, &self.subject);
        let mut line =
            format!("#{number} {time}  {kind:<20}  {actor:<14}  {address:<15}  {subject}");
        for change in &self.changes {
            line.push_str("  ");
            line.push_str(&change.text());
        }
        escape(&line)
    }
}

impl Change {
    fn text(&self) -> String {
        let brief = |value: &Value| shortened(&value.to_string(), LONGEST).into_owned();
        format!(
            "{}: {} → {}",
            self.field,
            brief(&self.from),
            brief(&self.to)
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_who_changed_what_and_cannot_act_on_the_terminal() {
        let entry = json!({
            "number": 7, "eventId": "e", "type": "task.updated", "time": "2026-11-21T10:32:05Z",
            "recordedAt": "2026-11-21T10:32:06Z", "actor": {"id": "1", "username": "ada\x1b[31m"},
            "requestId": null, "traceId": "t", "address": "192.0.2.1", "subject": "0198",
            "changes": [{"field": "title", "from": "a\u{202e}", "to": "x".repeat(100)}],
        });
        let line = serde_json::from_value::<Entry>(entry).unwrap().line();
        assert!(
            line.starts_with("#7 2026-11-21 10:32:05Z  task.updated"),
            "{line}"
        );
        assert!(
            line.contains("192.0.2.1        0198  title: \"a\\u{202e}\" → \"xxx"),
            "{line}"
        );
        assert!(
            line.ends_with('…') && !line.contains(char::is_control),
            "{line}"
        );
    }
}
