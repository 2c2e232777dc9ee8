//! Dead letters: events that a consumer group could not handle. They are stored here, for all
//! groups, until an administrator replays them.
//!
//! A stored dead letter does not change, except that it can be replayed once. If the replayed event
//! fails again, it becomes a new dead letter that refers to the first one. The types in this file
//! are pure.

mod edit;
mod filter;
pub(crate) mod jobs;
pub(crate) mod replay;
mod replayed;
pub(crate) mod service;
pub mod store;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_bus::consumer::DeadLetter;
use slipway_proto::events::UserRef;
use slipway_runtime::{id, typed_id};

pub use edit::{InvalidPayload, checked};
pub use filter::Filter;

typed_id! {
    /// Identifies a stored dead letter. Ids sort by time, in milliseconds, so a range of times is a
    /// range of ids.
    DeadLetterId
}

/// Whether it has been replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Nobody has replayed it.
    Waiting,
    /// It was sent back to its consumer group.
    Replayed,
}

impl State {
    /// The name that is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Replayed => "REPLAYED",
        }
    }
}

/// A replay by an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Act {
    /// The administrator.
    pub by: UserRef,
    /// When.
    pub at: Timestamp,
    /// The payload it was replayed with, if it was edited.
    pub edited: Option<String>,
    /// Hash of the request's idempotency key, if it had one.
    pub request: Option<String>,
}

/// A dead letter in a list: everything except the fields that can be large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its id.
    pub id: DeadLetterId,
    /// When it was stored, to the millisecond.
    pub received_at: Timestamp,
    /// The group that could not handle it.
    pub group: String,
    /// The topic it was published on.
    pub topic: String,
    /// The event's id, from its header: may be missing or not a UUID.
    pub event_id: Option<String>,
    /// The event's type, from its header.
    pub event_type: Option<String>,
    /// The event's subject, from its header.
    pub subject: Option<String>,
    /// The record's key.
    pub key: String,
    /// Why handling failed: `undecodable`, `poison`, `panic` or `exhausted`.
    pub cause: String,
    /// The failure in words.
    pub reason: String,
    /// How many attempts failed.
    pub attempts: u32,
    /// When the first attempt failed.
    pub first_failure: Option<Timestamp>,
    /// The dead letter whose replay failed and became this one.
    pub replay_of: Option<DeadLetterId>,
    /// Whether it has been replayed.
    pub state: State,
}

impl Summary {
    /// Size, in bytes, of the texts that the publisher or the failed consumer wrote.
    #[must_use]
    pub fn weight(&self) -> usize {
        let texts = [&self.event_id, &self.event_type, &self.subject];
        let texts = texts.into_iter().flatten().chain([&self.key, &self.reason]);
        texts.map(String::len).sum()
    }
}

/// A stored dead letter with all of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// Its id.
    pub id: DeadLetterId,
    /// When it was stored, to the millisecond.
    pub received_at: Timestamp,
    /// What the consumer group sent to its dead-letter topic.
    pub letter: DeadLetter,
    /// Whether it has been replayed.
    pub state: State,
    /// Replays, oldest first.
    pub acts: Vec<Act>,
    /// The dead letter that its replay became, if the replay failed.
    pub returned_as: Option<DeadLetterId>,
}

impl Filed {
    /// A dead letter received now.
    #[must_use]
    pub fn new(letter: DeadLetter, now: Timestamp) -> Self {
        Self {
            id: DeadLetterId(id::at(now)),
            received_at: now,
            letter,
            state: State::Waiting,
            acts: Vec::new(),
            returned_as: None,
        }
    }

    /// Its entry in a list.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let letter = &self.letter;
        let header = |name| letter.record.header(name).map(str::to_owned);
        Summary {
            id: self.id,
            received_at: self.received_at,
            group: letter.group.clone(),
            topic: letter.record.topic.clone(),
            event_id: header("ce_id"),
            event_type: header("ce_type"),
            subject: header("ce_subject"),
            key: letter.record.key.clone(),
            cause: letter.cause.clone(),
            reason: letter.reason.clone(),
            attempts: letter.attempts,
            first_failure: letter.history.first().map(|attempt| attempt.at),
            replay_of: letter.replay.map(DeadLetterId),
            state: self.state,
        }
    }
}
