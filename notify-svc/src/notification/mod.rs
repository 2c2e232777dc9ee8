//! Notifications: who is told of what, by what way, and what became of it.
//!
//! Rules, which are pure (no I/O, no async, no clock), as is what is in this file:
//!
//! | module | the rules in it |
//! | --- | --- |
//! | [`audience`] | which event notifies whom |
//! | [`gathering`] | which are mailed at once, and which are gathered into one mail |
//! | [`digest`] | the one mail for several |
//! | [`confirmation`] | what the mail server's operator says of a mail that was sent |
//! | [`outcome`] | what an attempt leads to: sent, tried again, given up |
//! | [`filter`] | which notifications a reader wants |
//! | [`preferences`] | what a user wants to be told, and when |
//! | [`recipients`] | who can be written to |
//! | [`intake`] | events that other programs announce |
//! | [`templates`] | the words of a mail |
//!
//! The way of a notification: `jobs` consumes an event, `queue` places and stores its
//! notifications, [`dispatch`] claims them and sends them by [`mail`], `events` publishes the
//! outcome, `confirmation::record` takes what is said of the mail later.

pub mod audience;
pub mod confirmation;
pub mod digest;
pub mod dispatch;
mod events;
pub mod filter;
pub mod gathering;
pub mod intake;
pub(crate) mod jobs;
pub mod mail;
pub mod outcome;
pub mod preferences;
pub(crate) mod queue;
pub mod recipients;
mod service;
pub(crate) mod services;
pub mod store;
mod subject;
pub mod templates;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use slipway_runtime::{id, typed_id};
use uuid::Uuid;

pub use audience::Draft;
pub use confirmation::{Confirmation, Confirmed, DeliveryReport};
pub use filter::Filter;
pub use gathering::{Occasion, Tally};
pub(crate) use outcome::GIVE_UP_AFTER;
pub use outcome::{Attempt, Outcome, Settled};
pub use subject::Subject;

/// What is due for less is as good as new.
const MOMENT: SignedDuration = SignedDuration::from_mins(1);

typed_id! {
    /// Identifies a notification; later ones sort after earlier ones.
    NotificationId
}

impl NotificationId {
    /// A new identifier of a notification made at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(id::at(now))
    }

    /// The least identifier of those made at `now` or later: all made before are less.
    /// So a range of times is a range of identifiers.
    #[must_use]
    pub fn first_at(now: Timestamp) -> Self {
        Self(id::first_at(now))
    }
}

/// By what way somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Channel {
    /// An email.
    Email,
}

impl Channel {
    /// As it is stored and told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
        }
    }
}

/// Where a notification stands.
///
/// ```text
/// QUEUED → SENDING → SENT → DELIVERED
///   ↑________↓  ↓______↓___→ FAILED
/// SUPPRESSED (never queued)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Waits until it is due: at once, after a failed attempt, after quiet hours, or when it
    /// goes in one mail with others.
    Queued,
    /// A process has claimed it and is sending it.
    Sending,
    /// The mail server took it.
    Sent,
    /// The mail server's operator confirmed that it arrived.
    Delivered,
    /// It will not be tried again; the reason says why.
    Failed,
    /// It was not to be sent; the reason says why.
    Suppressed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Failed,
        Self::Suppressed,
    ];

    /// As it is stored and told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Sending => "SENDING",
            Self::Sent => "SENT",
            Self::Delivered => "DELIVERED",
            Self::Failed => "FAILED",
            Self::Suppressed => "SUPPRESSED",
        }
    }

    /// Whether it is yet to be decided what becomes of the notification.
    #[must_use]
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Queued | Self::Sending)
    }
}

/// Who is told. As text it is the account's id or the address, which holds an `@`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum To {
    /// An account, whose address is looked up when the mail is sent.
    User(Uuid),
    /// A bare address, in lower case: administrators who need not have an account.
    Address(String),
}

impl To {
    /// A bare address.
    #[must_use]
    pub fn address(text: &str) -> Self {
        Self::Address(text.to_lowercase())
    }

    /// The account, if it is one.
    #[must_use]
    pub fn user(&self) -> Option<Uuid> {
        match self {
            Self::User(id) => Some(*id),
            Self::Address(_) => None,
        }
    }

    /// What its `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('@') {
            return Some(Self::Address(text.to_owned()));
        }
        text.parse().ok().map(Self::User)
    }
}

impl From<To> for String {
    fn from(to: To) -> Self {
        to.to_string()
    }
}

impl TryFrom<String> for To {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text} is no recipient"))
    }
}

impl std::fmt::Display for To {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Address(address) => f.write_str(address),
        }
    }
}

/// One event told to one recipient by one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Identifies it. It also makes the mail's `Message-ID`.
    pub id: NotificationId,
    /// The event it tells of. One event tells each recipient once by each way.
    pub event_id: Uuid,
    /// Its type, for example `task.assigned`: it chooses the template. It is that of the
    /// event unless [`audience`] says otherwise.
    pub kind: String,
    /// By what way.
    pub channel: Channel,
    /// To whom.
    pub to: To,
    /// What it is about, in one line.
    pub subject: Subject,
    /// The template's variables, a JSON object.
    #[serde(with = "slipway_store::json_text")]
    pub data: Value,
    /// Where it stands.
    pub state: State,
    /// Why it was suppressed or failed; while it is queued, why it waits, if it is gathered.
    pub reason: Option<String>,
    /// What it is gathered with: those of the same recipient with the same group go in one
    /// mail.
    pub group: Option<String>,
    /// The mail that told of it together with others, or is to: makes that mail's
    /// `Message-ID`.
    pub digest_id: Option<NotificationId>,
    /// When it is to be tried, or to be tried again; meaningful while it is queued.
    pub due_at: Timestamp,
    /// What was tried, oldest first.
    pub attempts: Vec<Attempt>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Notification {
    /// A notification that is due at once.
    #[must_use]
    pub fn new(draft: Draft, event_id: Uuid, subject: Subject, now: Timestamp) -> Self {
        Self {
            id: NotificationId::at(now),
            event_id,
            kind: draft.kind,
            channel: Channel::Email,
            to: draft.to,
            subject,
            data: draft.data,
            state: State::Queued,
            reason: None,
            group: None,
            digest_id: None,
            due_at: now,
            attempts: Vec::new(),
            created_at: now,
            updated_at: now,
        }
    }

    /// The same, not to be sent, and why.
    #[must_use]
    pub fn suppressed(self, reason: impl Into<String>) -> Self {
        Self {
            state: State::Suppressed,
            reason: Some(reason.into()),
            ..self
        }
    }

    /// The same, not to be sent before `due_at`.
    #[must_use]
    pub fn deferred(self, due_at: Timestamp) -> Self {
        Self { due_at, ..self }
    }

    /// The same, to be sent at `due_at` in one mail with the others of `group`; and why.
    #[must_use]
    pub fn gathered(self, group: &str, reason: &str, due_at: Timestamp) -> Self {
        Self {
            group: Some(group.to_owned()),
            reason: Some(reason.to_owned()),
            due_at,
            ..self
        }
    }

    /// What the `Message-ID` of the mail that tells of it is made of.
    #[must_use]
    pub fn mail_id(&self) -> NotificationId {
        self.digest_id.unwrap_or(self.id)
    }

    /// Whether it was made to wait: for quiet hours to end, or to be tried again.
    #[must_use]
    pub fn has_waited(&self) -> bool {
        self.due_at > self.created_at
    }

    /// Whether it has waited by `now`, be it only for a mail server that was away. What its
    /// recipient wants may be another thing by now.
    #[must_use]
    pub fn has_waited_by(&self, now: Timestamp) -> bool {
        self.has_waited() || now.duration_since(self.due_at) >= MOMENT
    }

    /// The bytes of its texts: what it weighs in a page.
    #[must_use]
    pub fn weight(&self) -> usize {
        let attempts = self.attempts.iter().map(|attempt| attempt.answer.len());
        self.data.to_string().len() + self.subject.as_str().len() + attempts.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_times_is_a_range_of_identifiers() {
        let time = |millis| Timestamp::from_millisecond(millis).unwrap();
        let made = NotificationId::at(time(1_700_000_000_123));
        assert!(NotificationId::first_at(time(1_700_000_000_123)) <= made);
        assert!(made < NotificationId::first_at(time(1_700_000_000_124)));
        assert!(NotificationId::first_at(Timestamp::MIN) < made);
    }

    #[test]
    fn a_recipient_is_read_as_it_was_written() {
        for to in [To::User(Uuid::now_v7()), To::address("Ops@Example.com")] {
            assert_eq!(To::parse(&to.to_string()), Some(to));
        }
        assert_eq!(To::parse("somebody"), None);
    }
}
