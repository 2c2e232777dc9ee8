//! Delivery reports of the mail server's operator: a mail was delivered, or it bounced.
//!
//! | state of the notification | delivered | bounced |
//! | --- | --- | --- |
//! | SENT | DELIVERED | FAILED |
//! | DELIVERED | reported before | contradicts |
//! | FAILED | contradicts | reported before |
//! | SUPPRESSED | contradicts | contradicts |
//! | QUEUED, SENDING | too early | too early |
//!
//! The first report counts; a later one that contradicts it changes nothing.

pub(crate) mod record;

use std::time::Duration;

use jiff::Timestamp;

use super::{Attempt, Notification, NotificationId, Outcome, State};

/// Whether a mail was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryReport {
    /// It reached its recipient.
    Delivered,
    /// It came back and will not be delivered.
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

/// The report about one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The notification, or the `digest_id` of a digest mail.
    pub id: NotificationId,
    /// Whether it was delivered.
    pub arrival: DeliveryReport,
    /// When that happened.
    pub at: Timestamp,
    /// The operator's text; for a bounce, the reason.
    pub detail: String,
}

/// The effect of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Confirmed {
    /// The notification changes to this.
    Changed(Box<Notification>),
    /// The same was reported before.
    Already,
    /// The notification already has a different final state, which stays.
    Contradicts,
    /// The notification is not yet recorded as sent: repeat the report later.
    TooEarly,
}

impl Notification {
    /// The effect of `confirmation`, received at `now`.
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
                // The operator's clock may be ahead of ours.
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

/// The notification id in a `Message-ID`, with or without angle brackets; `None` if it is not one
/// of ours. The domain after the `@` is not checked: the sender's domain may have changed since the
/// mail was sent.
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

    fn report(arrival: DeliveryReport) -> Confirmation {
        Confirmation {
            id: NotificationId(Uuid::nil()),
            arrival,
            at: Timestamp::from_second(5).unwrap(),
            detail: "550 no such mailbox".to_owned(),
        }
    }

    fn after(notification: &Notification, arrival: DeliveryReport) -> Confirmed {
        let now = Timestamp::from_second(9).unwrap();
        notification.confirm(&report(arrival), now)
    }

    #[test]
    fn a_sent_mail_is_delivered_or_bounces() {
        let sent = in_state(State::Sent);
        let Confirmed::Changed(arrived) = after(&sent, DeliveryReport::Delivered) else {
            panic!("it was sent")
        };
        assert_eq!((arrived.state, &arrived.reason), (State::Delivered, &None));
        assert_eq!(arrived.attempts[0].outcome, Outcome::Delivered);
        assert_eq!(
            arrived.attempts[0].at.as_second(),
            5,
            "when it was delivered"
        );
        assert_eq!(arrived.updated_at.as_second(), 9, "when the report came");
        let Confirmed::Changed(back) = after(&sent, DeliveryReport::Bounced) else {
            panic!("it was sent")
        };
        assert_eq!(back.state, State::Failed);
        assert_eq!(back.reason.as_deref(), Some("550 no such mailbox"));
        assert_eq!(back.attempts[0].outcome, Outcome::Bounced);
        assert_eq!(back.tries(), 0, "nobody tried to send it");
    }

    #[test]
    fn a_delivery_is_never_dated_after_its_report() {
        for (said_at, kept) in [(5, 5), (9, 9), (10, 9)] {
            let confirmation = Confirmation {
                at: Timestamp::from_second(said_at).unwrap(),
                ..report(DeliveryReport::Delivered)
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
    fn the_first_report_counts() {
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
