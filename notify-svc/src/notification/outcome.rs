//! The result of an attempt to send a notification.
//!
//! | the attempt | the notification |
//! | --- | --- |
//! | accepted by the mail server | SENT |
//! | permanent failure (5xx) | FAILED at once |
//! | temporary failure (4xx), no answer, or the connection dropped | retried after each of
//! [`RETRIES`], then FAILED |
//! | the mail server is unreachable, or refuses us and not the mail | stays in the queue unchanged,
//! for [`GIVE_UP_AFTER`]: the failure says nothing about this mail. It is sent when the server is
//! available again |
//! | delivered, bounced: a later report of the server's operator, see
//! [`confirmation`](super::confirmation) | DELIVERED, FAILED |
//! | interrupted: the process that was sending it ended | retried at once; it may have been sent |

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use slipway_runtime::text::clean_line;

use super::{Notification, State};

/// Delays before each retry after a temporary failure. Each varies by up to a fifth, so that
/// notifications that failed together are not retried together.
pub const RETRIES: [Duration; 3] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
];

/// How long a due notification waits for an unavailable mail server.
pub const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Maximum length of a stored answer in bytes.
const LONGEST_ANSWER: usize = 500;

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// The mail server accepted it.
    Accepted,
    /// Temporary failure: a 4xx reply, no answer in time, or a dropped connection. If the
    /// connection dropped, the server may have accepted the mail.
    Temporary,
    /// Permanent failure: a 5xx reply, or an unusable address or template.
    Permanent,
    /// The mail server is unreachable or refuses us.
    Unreachable,
    /// The sending process ended or lost the database: the mail may have been sent.
    Interrupted,
    /// The mail server's operator reported it as delivered.
    Delivered,
    /// The mail server's operator reported it as bounced.
    Bounced,
}

impl Outcome {
    /// The name that is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Temporary => "TEMPORARY",
            Self::Permanent => "PERMANENT",
            Self::Unreachable => "UNREACHABLE",
            Self::Interrupted => "INTERRUPTED",
            Self::Delivered => "DELIVERED",
            Self::Bounced => "BOUNCED",
        }
    }
}

/// One attempt to send a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it started. For an interrupted attempt, when that was detected; for a report of the
    /// operator, when it happened.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The outcome.
    pub outcome: Outcome,
    /// The server's answer, or the error, on one line.
    pub answer: String,
}

impl Attempt {
    /// An attempt. A long answer is truncated.
    #[must_use]
    pub fn new(at: Timestamp, took: Duration, outcome: Outcome, answer: &str) -> Self {
        let end = answer.floor_char_boundary(LONGEST_ANSWER);
        Self {
            at,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            outcome,
            answer: clean_line(&answer[..end]),
        }
    }

    /// The attempt of a process that ended before its outcome was stored, detected at `now`.
    #[must_use]
    pub fn interrupted(now: Timestamp) -> Self {
        let answer =
            "the process that was sending it did not record the outcome: it may have been sent";
        Self::new(now, Duration::ZERO, Outcome::Interrupted, answer)
    }
}

/// A notification after an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The notification: SENT, FAILED, or QUEUED again.
    pub notification: Notification,
    /// Whether the state is final: sent, or given up.
    pub is_final: bool,
}

impl Notification {
    /// The notification after an attempt. `spread` is from -1 to 1 and varies the delay before a
    /// retry.
    #[must_use]
    pub fn settle(mut self, attempt: Attempt, spread: f64, now: Timestamp) -> Settled {
        let later = |wait: Duration| {
            let wait = wait.mul_f64(1.0 + spread.clamp(-1.0, 1.0) / 5.0);
            now.saturating_add(wait).unwrap_or(Timestamp::MAX)
        };
        let again = match attempt.outcome {
            Outcome::Accepted | Outcome::Permanent | Outcome::Delivered | Outcome::Bounced => None,
            Outcome::Temporary => {
                let failed = self.attempts.iter();
                let failed = failed.filter(|a| a.outcome == Outcome::Temporary).count();
                RETRIES.get(failed).copied().map(later)
            }
            Outcome::Unreachable => {
                let first = self.unreachable().last().map_or(now, |first| first.at);
                let keeps_waiting = now.duration_since(first) < GIVE_UP_AFTER;
                keeps_waiting.then_some(self.due_at)
            }
            Outcome::Interrupted => Some(now),
        };
        let state = match (attempt.outcome, again) {
            (Outcome::Accepted, _) => State::Sent,
            (Outcome::Delivered, _) => State::Delivered,
            (_, Some(_)) => State::Queued,
            (_, None) => State::Failed,
        };
        self.due_at = again.unwrap_or(self.due_at);
        self.ends_as(state, attempt, now)
    }

    /// Fails it because the mail server has been unavailable for too long.
    #[must_use]
    pub fn give_up(self, attempt: Attempt, now: Timestamp) -> Settled {
        self.ends_as(State::Failed, attempt, now)
    }

    fn ends_as(mut self, state: State, attempt: Attempt, now: Timestamp) -> Settled {
        self.state = state;
        match self.state {
            State::Failed => self.reason = Some(attempt.answer.clone()),
            // It no longer waits.
            State::Sent => self.reason = None,
            _ => {}
        }
        // Of an outage, only the first and the last attempt are kept.
        if attempt.outcome == Outcome::Unreachable && self.unreachable().count() > 1 {
            self.attempts.pop();
        }
        self.attempts.push(attempt);
        self.updated_at = now;
        Settled {
            is_final: self.state != State::Queued,
            notification: self,
        }
    }

    /// The latest attempts in a row that did not reach the mail server, newest first.
    fn unreachable(&self) -> impl Iterator<Item = &Attempt> {
        let newest = self.attempts.iter().rev();
        newest.take_while(|attempt| attempt.outcome == Outcome::Unreachable)
    }

    /// Returns it to the queue without an attempt, due at `due_at`.
    #[must_use]
    pub fn postpone(self, due_at: Timestamp, now: Timestamp) -> Settled {
        Settled {
            notification: Self {
                state: State::Queued,
                digest_id: None,
                due_at,
                updated_at: now,
                ..self
            },
            is_final: false,
        }
    }

    /// Suppresses it for this reason.
    #[must_use]
    pub fn withhold(self, reason: impl Into<String>, now: Timestamp) -> Settled {
        Settled {
            notification: Self {
                digest_id: None,
                updated_at: now,
                ..self.suppressed(reason)
            },
            is_final: true,
        }
    }

    /// Number of completed attempts to send it. Later delivery reports do not count.
    #[must_use]
    pub fn tries(&self) -> u32 {
        let ended = self.attempts.iter().filter(|attempt| {
            !matches!(
                attempt.outcome,
                Outcome::Interrupted | Outcome::Delivered | Outcome::Bounced
            )
        });
        u32::try_from(ended.count()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::notification::{Draft, Subject, To};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn made() -> Notification {
        let draft = Draft {
            kind: "task.assigned".to_owned(),
            to: To::User(Uuid::nil()),
            data: json!({}),
            sender: None,
        };
        Notification::new(draft, Uuid::nil(), Subject::new("x"), NOW)
    }

    fn after(notification: Notification, outcome: Outcome, now: Timestamp) -> Settled {
        let attempt = Attempt::new(now, Duration::from_millis(5), outcome, "said the server");
        notification.settle(attempt, 0.0, now)
    }

    /// The delays until it is given up, if every attempt is made when it is due.
    fn delays(outcome: Outcome) -> Vec<i64> {
        let (mut notification, mut now, mut delays) = (made(), NOW, Vec::new());
        loop {
            let settled = after(notification, outcome, now);
            notification = settled.notification;
            if settled.is_final {
                assert_eq!(notification.state, State::Failed);
                assert_eq!(notification.reason.as_deref(), Some("said the server"));
                assert_eq!(notification.attempts.len(), delays.len() + 1);
                return delays;
            }
            delays.push(notification.due_at.duration_since(now).as_secs());
            now = notification.due_at;
        }
    }

    #[test]
    fn an_accepted_notification_is_sent() {
        let settled = after(made(), Outcome::Accepted, NOW);
        assert!(settled.is_final);
        assert_eq!(settled.notification.state, State::Sent);
        assert_eq!(settled.notification.reason, None);
    }

    #[test]
    fn a_permanent_failure_fails_at_once() {
        assert!(delays(Outcome::Permanent).is_empty());
    }

    #[test]
    fn a_temporary_failure_is_retried_three_times() {
        assert_eq!(delays(Outcome::Temporary), [10, 60, 300]);
    }

    fn hours(hours: i64) -> Timestamp {
        NOW + SignedDuration::from_hours(hours)
    }

    #[test]
    fn an_unavailable_server_uses_up_no_retries_and_fails_after_a_day() {
        let mut notification = made();
        for hour in 1..=24 {
            let settled = after(notification, Outcome::Unreachable, hours(hour));
            notification = settled.notification;
            assert_eq!(
                (notification.state, settled.is_final),
                (State::Queued, false)
            );
            assert_eq!(notification.due_at, NOW, "it keeps its place");
        }
        let at: Vec<_> = notification.attempts.iter().map(|a| a.at).collect();
        assert_eq!(at, [hours(1), hours(24)], "the first and the last are kept");
        let settled = after(notification, Outcome::Unreachable, hours(25));
        assert!(settled.is_final);
        assert_eq!(settled.notification.state, State::Failed);
    }

    #[test]
    fn the_day_starts_again_if_the_server_was_reachable_in_between() {
        let mut notification = made();
        for (hour, outcome) in [
            (0, Outcome::Unreachable),
            (23, Outcome::Temporary),
            (25, Outcome::Unreachable),
        ] {
            notification = after(notification, outcome, hours(hour)).notification;
        }
        assert_eq!(notification.state, State::Queued);
        let attempt = Attempt::new(hours(26), Duration::ZERO, Outcome::Unreachable, "away");
        let given_up = notification.give_up(attempt, hours(26));
        assert!(given_up.is_final);
        assert_eq!(given_up.notification.reason.as_deref(), Some("away"));
        assert_eq!(given_up.notification.attempts.len(), 4);
    }

    #[test]
    fn an_outage_uses_up_no_retries() {
        let mut notification = made();
        for _ in 0..10 {
            notification = after(notification, Outcome::Unreachable, NOW).notification;
            notification = after(notification, Outcome::Interrupted, NOW).notification;
        }
        for _ in 0..3 {
            notification = after(notification, Outcome::Temporary, NOW).notification;
            assert_eq!(notification.state, State::Queued);
        }
        assert!(after(notification, Outcome::Temporary, NOW).is_final);
    }

    #[test]
    fn delays_vary_by_a_fifth() {
        for (spread, seconds) in [(-1.0, 8), (0.0, 10), (1.0, 12), (5.0, 12)] {
            let attempt = Attempt::new(NOW, Duration::ZERO, Outcome::Temporary, "later");
            let settled = made().settle(attempt, spread, NOW);
            assert_eq!(settled.notification.due_at.as_second(), seconds);
        }
    }

    #[test]
    fn a_long_answer_is_truncated() {
        let attempt = Attempt::new(NOW, Duration::ZERO, Outcome::Temporary, &"ü".repeat(9999));
        assert_eq!(attempt.answer, "ü".repeat(250));
        let lines = "550 no\u{2028}such\r\nbox\u{202e}";
        let attempt = Attempt::new(NOW, Duration::ZERO, Outcome::Permanent, lines);
        assert_eq!(attempt.answer, "550 no such  box", "on one line");
    }
}
