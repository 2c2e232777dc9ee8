//! Prints dead letters. Their texts come from other programs, so control characters are escaped.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    commands::client::Listed,
    text::{escape, escape_lines},
};

/// The fields of a dead letter that a line shows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    id: String,
    state: String,
    received_at: Timestamp,
    group: String,
    topic: String,
    event_type: String,
    cause: String,
    reason: String,
    attempts: u32,
}

impl Listed for Summary {
    /// Id, time in UTC, state, group, type, cause and reason.
    fn line(&self) -> String {
        let time = self.received_at.strftime("%F %TZ");
        let kind = match self.event_type.as_str() {
            "" => "-",
            kind => kind,
        };
        let (state, group, cause) = (&self.state, &self.group, &self.cause);
        let line = format!(
            "{}  {time}  {state:<8}  {group:<14}  {kind:<20}  {cause:<11}  {}",
            self.id, self.reason
        );
        escape(&line)
    }
}

impl Summary {
    /// The group and its topic.
    pub(super) fn place(&self) -> String {
        escape(&format!("{} ({})", self.group, self.topic))
    }
}

/// The fields of a dead letter that a page shows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Letter {
    #[serde(flatten)]
    summary: Summary,
    key: String,
    event_id: String,
    subject: String,
    partition: u32,
    offset: u64,
    headers: Vec<Header>,
    payload: String,
    payload_encoding: String,
    history: Vec<Failure>,
    acts: Vec<Act>,
    replay_of: Option<String>,
    returned_as: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct Failure {
    at: Timestamp,
    error: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Act {
    by: User,
    at: Timestamp,
    edited_payload: Option<String>,
}

#[derive(Debug, Deserialize)]
struct User {
    username: String,
}

impl Letter {
    /// All fields, one per line.
    pub(super) fn page(&self) -> String {
        let Summary {
            id,
            state,
            received_at,
            group,
            topic,
            event_type,
            cause,
            reason,
            attempts,
        } = &self.summary;
        let mut page = String::new();
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                // Writing to a String cannot fail.
                let _ = writeln!(page, "{name:<12} {}", escape(value));
            }
        };
        line("id", id);
        line("state", state);
        line("received", &received_at.to_string());
        line("group", group);
        line("cause", cause);
        line("reason", reason);
        line("attempts", &attempts.to_string());
        line("event", &self.event_id);
        line("type", event_type);
        line("subject", &self.subject);
        let place = format!(
            "{topic}, partition {}, offset {}",
            self.partition, self.offset
        );
        line("published", &place);
        line("key", &self.key);
        line("replay of", self.replay_of.as_deref().unwrap_or_default());
        line(
            "returned as",
            self.returned_as.as_deref().unwrap_or_default(),
        );
        for Header { name, value } in &self.headers {
            line("header", &format!("{name}: {value}"));
        }
        for Failure { at, error } in &self.history {
            line("failed", &format!("{at}  {error}"));
        }
        for act in &self.acts {
            let edited = match &act.edited_payload {
                Some(payload) => format!(", edited: {payload}"),
                None => String::new(),
            };
            line(
                "replayed",
                &format!("{} by {}{edited}", act.at, act.by.username),
            );
        }
        let (encoding, payload) = (escape(&self.payload_encoding), escape_lines(&self.payload));
        let _ = writeln!(page, "payload ({encoding}):\n{payload}");
        page
    }
}

/// The result of replaying many, from the server's answer.
pub(super) fn replayed(answer: &Value) -> String {
    let ids = |name: &str| -> Vec<String> {
        let ids = answer[name].as_array().into_iter().flatten();
        ids.filter_map(Value::as_str).map(escape).collect()
    };
    let done = match answer["dryRun"].as_bool() {
        Some(true) => "would be replayed",
        _ => "replayed",
    };
    let (sent, gone) = (ids("ids"), ids("groupGone"));
    if sent.is_empty() && gone.is_empty() {
        return format!("0 {done}: no dead letter that waits matches\n");
    }
    let mut text = format!("{} {done}\n", sent.len());
    for id in &sent {
        let _ = writeln!(text, "  {id}");
    }
    if !gone.is_empty() {
        let _ = writeln!(text, "{} skipped: their groups no longer exist", gone.len());
        for id in &gone {
            let _ = writeln!(text, "  {id}");
        }
    }
    if answer["more"] == true {
        text.push_str("there are more: replay again\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn letter() -> Value {
        json!({
            "id": "0198", "state": "REPLAYED", "receivedAt": "2026-11-21T10:32:05Z",
            "group": "mail", "topic": "slipway.releases", "eventType": "", "cause": "poison",
            "reason": "bad\x1b[31m", "attempts": 2, "firstFailure": null, "replayOf": null,
            "key": "k", "eventId": "", "subject": "", "partition": 3, "offset": 7,
            "headers": [{"name": "ce_id", "value": "x\u{202e}"}],
            "payload": "{\n\x07}", "payloadEncoding": "utf-8",
            "history": [{"at": "2026-11-21T10:32:04Z", "error": "no"}],
            "acts": [{"by": {"id": "1", "username": "ada"}, "at": "2026-11-21T10:33:00Z",
                      "editedPayload": "{}"}],
            "returnedAs": null,
        })
    }

    #[test]
    fn a_line_and_a_page_cannot_act_on_the_terminal() {
        let line = serde_json::from_value::<Summary>(letter()).unwrap().line();
        assert!(
            line.contains("2026-11-21 10:32:05Z  REPLAYED  mail"),
            "{line}"
        );
        assert!(!line.contains(char::is_control));
        let page = serde_json::from_value::<Letter>(letter()).unwrap().page();
        assert!(page.contains("published    slipway.releases, partition 3, offset 7"));
        assert!(page.contains("by ada, edited: {}"), "{page}");
        assert!(page.ends_with("payload (utf-8):\n{\n\\u{7}}\n"), "{page}");
        assert!(!page.replace('\n', "").contains(char::is_control));
    }

    #[test]
    fn the_results_of_a_replay_are_counted() {
        let answer = json!({"dryRun": true, "count": 1, "ids": ["a"], "more": true,
                            "groupGone": ["b"]});
        assert_eq!(
            replayed(&answer),
            "1 would be replayed\n  a\n1 skipped: their groups no longer exist\n  b\n\
             there are more: replay again\n"
        );
        let answer = json!({"dryRun": false, "count": 0, "ids": [], "groupGone": []});
        assert_eq!(
            replayed(&answer),
            "0 replayed: no dead letter that waits matches\n"
        );
    }
}
