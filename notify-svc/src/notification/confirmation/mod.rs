//! What the mail server's operator says of a mail that was sent: it arrived, or came back.
//!
//! | the notification | it arrived | it came back |
//! | --- | --- | --- |
//! | SENT | DELIVERED | FAILED |
//! | DELIVERED | said before | contradicts |
//! | FAILED | contradicts | said before |
//! | SUPPRESSED | contradicts | contradicts |
//! | QUEUED, SENDING | too early | too early |
//!
//! The first word stands: an operator that says both is believed once.

pub(crate) mod record;

use std::time::Duration;

use jiff::Timestamp;

use super::{Attempt, Notification, NotificationId, Outcome, State};

/// Whether a mail reached its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryReport {
    /// It did.
    Delivered,
    /// It came back, and will not be delivered.
    Bounced,
}

impl DeliveryReport {
    fn state(self) -> State {
        match self {
            Self::Delivered => State::Delivered,
            Self::Bounced => State::Failed,
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::Delivered => Outcome::Delivered,
            Self::Bounced => Outcome::Bounced,
        }
    }
}

/// What was said of one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The notification that the mail was, or the `digest_id` of those it told of.
    pub id: NotificationId,
    /// Whether it arrived.
    pub arrival: DeliveryReport,
    /// When that happened.
    pub at: Timestamp,
    /// The operator's words; a reason, if it came back.
    pub detail: String,
}

/// What a confirmation leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Confirmed {
    /// The notification is now as given.
    Changed(Box<Notification>),
    /// It was said before.
    Already,
    /// Another end of it stands in the log; that stays.
    Contradicts,
    /// The log does not say yet that it was sent: to be repeated.
    TooEarly,
}

impl Notification {
    /// What `confirmation` leads to, heard at `now`.
    #[must_use]
    pub fn confirm(&self, confirmation: &Confirmation, now: Timestamp) -> Confirmed {
        let Confirmation {
            arrival,
            at,
            detail,
            ..
        } = confirmation;
        match self.state {
            State::Sent => {
                // Whoever says it has a clock of their own, which may be ahead of ours.
                let at = now.min(*at);
                let attempt = Attempt::new(at, Duration::ZERO, arrival.outcome(), detail);
                let settled = self.clone().settle(attempt, 0.0, now);
                Confirmed::Changed(Box::new(settled.notification))
            }
            State::Queued | State::Sending => Confirmed::TooEarly,
            ended if ended == arrival.state() => Confirmed::Already,
            State::Delivered | State::Failed | State::Suppressed => Confirmed::Contradicts,
        }
    }
}

/// The notification that a `Message-ID` was made of, with or without angle brackets;
/// `None` if it is not one of ours. What stands behind the `@` is the sender's domain,
/// which may have been another one when the mail was sent.
#[must_use]
pub fn notification_of(message_id: &str) -> Option<NotificationId> {
    let text = message_id.trim();
    let inside = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'));
    let (id, domain) = inside.unwrap_or(text).split_once('@')?;
    let id = slipway_runtime::id::parse(id).ok()?;
    (!domain.is_empty()).then_some(NotificationId(id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::notification::{Draft, Subject, To};

    const SENT: Timestamp = Timestamp::UNIX_EPOCH;

    fn in_state(state: State) -> Notification {
        let draft = Draft {
            kind: "task.assigned".to_owned(),
            to: To::User(Uuid::nil()),
            data: json!({}),
            sender: None,
        };
        let made = Notification::new(draft, Uuid::nil(), Subject::new("x"), SENT);
        Notification { state, ..made }
    }

    fn said(arrival: DeliveryReport) -> Confirmation {
        Confirmation {
            id: NotificationId(Uuid::nil()),
            arrival,
            at: Timestamp::from_second(5).unwrap(),
            detail: "550 no such mailbox".to_owned(),
        }
    }

    fn after(notification: &Notification, arrival: DeliveryReport) -> Confirmed {
        let now = Timestamp::from_second(9).unwrap();
        notification.confirm(&said(arrival), now)
    }

    #[test]
    fn what_was_sent_arrives_or_comes_back() {
        let sent = in_state(State::Sent);
        let Confirmed::Changed(arrived) = after(&sent, DeliveryReport::Delivered) else {
            panic!("it was sent")
        };
        assert_eq!((arrived.state, &arrived.reason), (State::Delivered, &None));
        assert_eq!(arrived.attempts[0].outcome, Outcome::Delivered);
        assert_eq!(arrived.attempts[0].at.as_second(), 5, "when it happened");
        assert_eq!(arrived.updated_at.as_second(), 9, "when it was heard");
        let Confirmed::Changed(back) = after(&sent, DeliveryReport::Bounced) else {
            panic!("it was sent")
        };
        assert_eq!(back.state, State::Failed);
        assert_eq!(back.reason.as_deref(), Some("550 no such mailbox"));
        assert_eq!(back.attempts[0].outcome, Outcome::Bounced);
        assert_eq!(back.tries(), 0, "nobody tried to send it");
    }

    #[test]
    fn it_happened_before_it_was_heard() {
        for (said_at, kept) in [(5, 5), (9, 9), (10, 9)] {
            let confirmation = Confirmation {
                at: Timestamp::from_second(said_at).unwrap(),
                ..said(DeliveryReport::Delivered)
            };
            let now = Timestamp::from_second(9).unwrap();
            let confirmed = in_state(State::Sent).confirm(&confirmation, now);
            let Confirmed::Changed(arrived) = confirmed else {
                panic!("it was sent")
            };
            assert_eq!(arrived.attempts[0].at.as_second(), kept);
        }
    }

    #[test]
    fn the_first_word_stands() {
        use DeliveryReport::{Bounced, Delivered};
        for (state, arrival, expected) in [
            (State::Delivered, Delivered, Confirmed::Already),
            (State::Delivered, Bounced, Confirmed::Contradicts),
            (State::Failed, Bounced, Confirmed::Already),
            (State::Failed, Delivered, Confirmed::Contradicts),
            (State::Suppressed, Delivered, Confirmed::Contradicts),
            (State::Suppressed, Bounced, Confirmed::Contradicts),
            (State::Queued, Delivered, Confirmed::TooEarly),
            (State::Sending, Bounced, Confirmed::TooEarly),
        ] {
            assert_eq!(after(&in_state(state), arrival), expected, "{state:?}");
        }
    }

    #[test]
    fn a_message_id_leads_to_its_notification() {
        let id = NotificationId(Uuid::now_v7());
        for text in [
            format!("<{id}@example.com>"),
            format!("{id}@example.com"),
            format!(" <{id}@old.example> "),
        ] {
            assert_eq!(notification_of(&text), Some(id), "{text}");
        }
        for text in [
            "",
            "<>",
            "@",
            "<1@example.com>",
            &id.to_string(),
            &format!("<{id}@>"),
            &format!("<{id}@x"),
        ] {
            assert_eq!(notification_of(text), None, "{text}");
        }
    }
}
