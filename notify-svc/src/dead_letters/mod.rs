//! The desk of dead letters: what one is, what may be done with it, and which are asked
//! for. Pure.
//!
//! Events that a consumer group could not handle are filed here, of every group, until an
//! administrator sends them back. What is filed does not change, except that it is
//! replayed, once: whatever fails again comes back as a dead letter of its own, which says
//! which one it comes from.

mod edit;
mod filter;
pub(crate) mod jobs;
pub(crate) mod replay;
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
    /// Identifies a filed dead letter. Later ones sort after earlier ones, to the
    /// millisecond: so a range of times is a range of identifiers.
    DeadLetterId
}

/// Whether it still waits for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Nobody has done anything about it.
    Waiting,
    /// It was sent back to its group.
    Replayed,
}

impl State {
    /// As stores keep it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Replayed => "REPLAYED",
        }
    }
}

/// What an administrator has done with it: that it was replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Act {
    /// Who.
    pub by: UserRef,
    /// When.
    pub at: Timestamp,
    /// The payload it was replayed with, if that is not the one filed.
    pub edited: Option<String>,
    /// The hash of the idempotency key of the request, if it had one.
    pub request: Option<String>,
}

/// What a list shows of a dead letter: all but what can be large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its id.
    pub id: DeadLetterId,
    /// When it was filed, to the millisecond.
    pub received_at: Timestamp,
    /// The group that could not handle it.
    pub group: String,
    /// Where it was published.
    pub topic: String,
    /// The event's id, as it says itself: perhaps none, perhaps no UUID.
    pub event_id: Option<String>,
    /// The event's type, likewise.
    pub event_type: Option<String>,
    /// What the event is about, likewise.
    pub subject: Option<String>,
    /// The record's key.
    pub key: String,
    /// Why it is here: `undecodable`, `poison`, `panic`, `exhausted`.
    pub cause: String,
    /// The same in words.
    pub reason: String,
    /// How often it has failed.
    pub attempts: u32,
    /// When it failed first.
    pub first_failure: Option<Timestamp>,
    /// The dead letter whose replay failed and became this one.
    pub replay_of: Option<DeadLetterId>,
    /// Whether it still waits for somebody.
    pub state: State,
}

impl Summary {
    /// Bytes of the texts in it that whoever published the event has written, or whoever
    /// failed to handle it.
    #[must_use]
    pub fn weight(&self) -> usize {
        let texts = [&self.event_id, &self.event_type, &self.subject];
        let texts = texts.into_iter().flatten().chain([&self.key, &self.reason]);
        texts.map(String::len).sum()
    }
}

/// A dead letter with all there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// Its id.
    pub id: DeadLetterId,
    /// When it was filed, to the millisecond.
    pub received_at: Timestamp,
    /// What the group put aside.
    pub letter: DeadLetter,
    /// Whether it still waits for somebody.
    pub state: State,
    /// What was done with it, the first first.
    pub acts: Vec<Act>,
    /// What its replay came back as, if it failed again.
    pub returned_as: Option<DeadLetterId>,
}

impl Filed {
    /// A dead letter that has just arrived.
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

    /// What a list shows of it.
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
