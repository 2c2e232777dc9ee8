//! Renders the server-sent events of the activity stream.

use std::time::Duration;

use bytes::Bytes;
use slipway_proto::notify::v1;

use crate::model::{ActivityEntry, Id, Malformed};

/// A rendered entry, and the fields that filters use.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) sequence: u64,
    pub(super) bytes: Bytes,
    pub(super) kind: String,
    pub(super) release_id: Option<Id>,
    /// The actor and the other users that it concerns.
    pub(super) concerns: Vec<Id>,
}

impl TryFrom<v1::ActivityEntry> for Frame {
    type Error = Malformed;

    fn try_from(mut entry: v1::ActivityEntry) -> Result<Self, Malformed> {
        let concerns = std::mem::take(&mut entry.concerns);
        let release_id = entry.release_id.parse().ok();
        let entry = ActivityEntry::try_from(entry)?;
        let actor = entry.actor.as_ref().map(|actor| actor.id);
        let others = concerns.iter().filter_map(|id| id.parse().ok());
        Ok(Self {
            sequence: entry.sequence,
            bytes: render(&entry),
            release_id,
            concerns: actor.into_iter().chain(others).collect(),
            kind: entry.kind,
        })
    }
}

fn render(entry: &ActivityEntry) -> Bytes {
    // The JSON is on one line: line breaks in strings are escaped.
    let data = serde_json::to_string(entry).expect("its keys are strings");
    let sequence = entry.sequence;
    Bytes::from(format!(
        "id: {sequence}\nevent: {}\ndata: {data}\n\n",
        entry.kind
    ))
}

/// The start of a stream: the reconnection delay, and the position in a block with only an `id`,
/// so that a client that is disconnected before its first entry can resume too.
pub(super) fn opening(retry: Duration, position: u64) -> Bytes {
    let retry = retry.as_millis();
    Bytes::from(format!("retry: {retry}\nid: {position}\n\n"))
}

/// A gap: requested numbers that do not exist yet or no longer exist. Afterwards the client is at
/// `position`.
pub(super) fn gap(from: u64, to: u64, position: u64) -> Bytes {
    Bytes::from(format!(
        "id: {position}\nevent: gap\ndata: {{\"from\":{from},\"to\":{to}}}\n\n"
    ))
}

/// Why the server ends a stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goodbye {
    /// The process shuts down; the client reconnects to another one.
    Shutdown,
    /// The client must use a new token.
    TokenExpired,
    /// The client was signed out.
    SessionEnded,
}

impl From<Goodbye> for Bytes {
    fn from(reason: Goodbye) -> Self {
        Self::from_static(match reason {
            Goodbye::Shutdown => b"event: goodbye\ndata: {\"reason\":\"shutdown\"}\n\n",
            Goodbye::TokenExpired => b"event: goodbye\ndata: {\"reason\":\"token_expired\"}\n\n",
            Goodbye::SessionEnded => b"event: goodbye\ndata: {\"reason\":\"session_ended\"}\n\n",
        })
    }
}
