//! Notifications: recipients, delivery and outcome.
//!
//! These modules have the rules, which are pure (no I/O, no async, no clock), as are the types in
//! this file:
//!
//! | module | the rules in it |
//! | --- | --- |
//! | [`audience`] | the recipients of each event |
//! | [`corrections`] | which events make waiting notifications untrue |
//! | [`gathering`] | which notifications are mailed at once and which are gathered into a digest |
//! | [`digest`] | the digest mail |
//! | [`confirmation`] | delivery reports of the mail server's operator |
//! | [`outcome`] | the result of an attempt: sent, retried or given up |
//! | [`filter`] | filters of lists |
//! | [`preferences`] | which notifications a user wants, and when |
//! | [`recipients`] | the users and their addresses |
//! | [`intake`] | events that other programs announce |
//! | [`templates`] | the texts of mails |
//! | [`links`] | links with a secret in mails about accounts |
//!
//! The path of a notification: `jobs` consumes an event, `queue` decides and stores its
//! notifications, [`dispatch`] claims them and sends them with [`mail`], `events` publishes the
//! outcome, `confirmation::record` records later delivery reports.

pub mod audience;
pub mod confirmation;
pub mod corrections;
pub mod digest;
pub mod dispatch;
mod events;
pub mod filter;
pub mod gathering;
pub mod intake;
pub(crate) mod jobs;
pub mod links;
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

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use slipway_runtime::{id, telemetry::TraceContext, typed_id};
use uuid::Uuid;

pub use audience::Draft;
pub use confirmation::{Confirmation, Confirmed, DeliveryReport};
pub use filter::Filter;
pub use gathering::{Occasion, Tally};
pub(crate) use outcome::GIVE_UP_AFTER;
pub use outcome::{Attempt, Outcome, Settled};
pub use subject::Subject;

typed_id! {
    /// Identifies a notification; later ones sort after earlier ones.
    NotificationId
}

impl NotificationId {
    /// A new id for a notification created at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(id::at(now))
    }

    /// The smallest id of notifications created at `now` or later, so that a range of times is a
    /// range of ids.
    #[must_use]
    pub fn first_at(now: Timestamp) -> Self {
        Self(id::first_at(now))
    }
}

/// The channel of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Channel {
    /// An email.
    Email,
}

impl Channel {
    /// The name that is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
        }
    }
}

/// The state of a notification.
///
/// ```text
/// QUEUED → SENDING → SENT → DELIVERED
///   ↑________↓  ↓______↓___→ FAILED
/// SUPPRESSED (never queued, or withdrawn)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Waits until it is due: at once, for a retry, after quiet hours, or for its digest.
    Queued,
    /// A process has claimed it and is sending it.
    Sending,
    /// The mail server accepted it.
    Sent,
    /// The mail server's operator confirmed that it was delivered.
    Delivered,
    /// It will not be retried; `reason` says why.
    Failed,
    /// It must not be sent; `reason` says why.
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

    /// The name that is stored and shown.
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

    /// Whether the notification is still in the queue or being sent.
    #[must_use]
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Queued | Self::Sending)
    }
}

/// A recipient. As text it is the user's id, or the address, which contains an `@`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum To {
    /// A user, whose address is looked up when the mail is sent.
    User(Uuid),
    /// An address, in lower case: for administrators who may have no account.
    Address(String),
}

impl To {
    /// A recipient by address.
    #[must_use]
    pub fn address(text: &str) -> Self {
        Self::Address(text.to_lowercase())
    }

    /// The user's id, if it is a user.
    #[must_use]
    pub fn user(&self) -> Option<Uuid> {
        match self {
            Self::User(id) => Some(*id),
            Self::Address(_) => None,
        }
    }

    /// Parses the text form.
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

/// One event for one recipient on one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Its id. The mail's `Message-ID` is derived from it.
    pub id: NotificationId,
    /// The event it is about. Each recipient gets an event once on each channel.
    pub event_id: Uuid,
    /// Its type, for example `task.assigned`, which selects the template. The same as the event's
    /// type unless [`audience`] says otherwise.
    pub kind: String,
    /// The channel.
    pub channel: Channel,
    /// The recipient.
    pub to: To,
    /// The subject of its mail.
    pub subject: Subject,
    /// The template's variables, a JSON object.
    #[serde(with = "slipway_store::json_text")]
    pub data: Value,
    /// Its state.
    pub state: State,
    /// Why it was suppressed or failed; for a queued one, why it is gathered.
    pub reason: Option<String>,
    /// Its group, if it is gathered: notifications of one recipient with the same group go into one
    /// mail.
    pub group: Option<String>,
    /// The digest mail it goes into, if any: that mail's `Message-ID` is derived from it.
    pub digest_id: Option<NotificationId>,
    /// When it is tried next; meaningful only while it is queued.
    pub due_at: Timestamp,
    /// The attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// The trace of the event. The mail and the event of the outcome belong to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl AsRef<Notification> for Notification {
    fn as_ref(&self) -> &Notification {
        self
    }
}

impl Notification {
    /// A notification that is due at once, in the current trace.
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
            trace: TraceContext::scoped(),
            created_at: now,
            updated_at: now,
        }
    }

    /// The same, suppressed for this reason.
    #[must_use]
    pub fn suppressed(self, reason: impl Into<String>) -> Self {
        Self {
            state: State::Suppressed,
            reason: Some(reason.into()),
            ..self
        }
    }

    /// The same, due at `due_at`.
    #[must_use]
    pub fn deferred(self, due_at: Timestamp) -> Self {
        Self { due_at, ..self }
    }

    /// The same, to be sent at `due_at` in one mail with others of `group`, for this reason.
    #[must_use]
    pub fn gathered(self, group: &str, reason: &str, due_at: Timestamp) -> Self {
        Self {
            group: Some(group.to_owned()),
            reason: Some(reason.to_owned()),
            due_at,
            ..self
        }
    }

    /// The task that it is about, if it is about one.
    #[must_use]
    pub fn task(&self) -> Option<Uuid> {
        if !self.kind.starts_with("task.") && !audience::is_of_comment(&self.kind) {
            return None;
        }
        let id = self.data.get("taskId");
        let id = id.or_else(|| self.data.pointer("/task/id"));
        id.and_then(Value::as_str)?.parse().ok()
    }

    /// The release that it is about, alone or with one of its tasks.
    #[must_use]
    pub fn release(&self) -> Option<Uuid> {
        if self.task().is_none() && !self.kind.starts_with("release.") {
            return None;
        }
        let id = self.data.get("releaseId");
        let id = id.or_else(|| self.data.pointer("/task/releaseId"));
        id.and_then(Value::as_str)?.parse().ok()
    }

    /// The id from which the `Message-ID` of its mail is derived.
    #[must_use]
    pub fn mail_id(&self) -> NotificationId {
        self.digest_id.unwrap_or(self.id)
    }

    /// Whether it was delayed: for quiet hours, or for a retry.
    #[must_use]
    pub fn has_waited(&self) -> bool {
        self.due_at > self.created_at
    }

    /// Size of its texts in bytes; it limits the size of a page.
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
    fn a_range_of_times_is_a_range_of_ids() {
        let time = |millis| Timestamp::from_millisecond(millis).unwrap();
        let made = NotificationId::at(time(1_700_000_000_123));
        assert!(NotificationId::first_at(time(1_700_000_000_123)) <= made);
        assert!(made < NotificationId::first_at(time(1_700_000_000_124)));
        assert!(NotificationId::first_at(Timestamp::MIN) < made);
    }

    #[test]
    fn a_recipient_survives_a_round_trip() {
        for to in [To::User(Uuid::now_v7()), To::address("Ops@Example.com")] {
            assert_eq!(To::parse(&to.to_string()), Some(to));
        }
        assert_eq!(To::parse("somebody"), None);
    }
}
