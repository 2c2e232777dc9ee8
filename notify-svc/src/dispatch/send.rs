//! Sending one notification: from its claim to its outcome in the store.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use jiff::Timestamp;
use rand::RngExt as _;
use slipway_mesh::{clock::SharedClock, grpc::panic_text, outbox::Wake};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Dispatcher, DomainLimits};
use crate::{
    mail::{Address, Mail, Sending, SharedMailer},
    metrics as m,
    notification::{Attempt, Notification, Outcome, Settled, State},
    preferences::Decision,
    store::notifications::NotificationStore,
    telling::told_by,
    templates::Library,
};

/// How long a mail is put off whose domain has had its share: from the first to the
/// second, so that not all come again together.
const PUT_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// How long to wait before an outcome that could not be stored is tried to be stored
/// again.
const STORE_AGAIN: Duration = Duration::from_millis(500);

/// Who a notification is for.
pub(super) enum Whom {
    /// Somebody with an address.
    Known { name: String, address: Address },
    /// An account whose event has not arrived yet.
    Unknown,
    /// The address cannot be used.
    Unusable,
}

impl Whom {
    pub(super) fn at(name: &str, address: &str) -> Self {
        match address.parse() {
            Ok(address) => Self::Known {
                name: name.to_owned(),
                address,
            },
            Err(_) => Self::Unusable,
        }
    }
}

/// What an attempt has shown of the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Contact {
    /// Nothing: it was not asked.
    #[default]
    NotSought,
    /// It answered.
    Made,
    /// It is away.
    Failed,
}

/// What became of a claimed notification.
enum Fate {
    Tried(Outcome, String),
    PutOff,
}

/// Sends claimed notifications.
pub(super) struct Sender {
    notifications: Arc<dyn NotificationStore>,
    mailer: SharedMailer,
    templates: Arc<Library>,
    limits: Option<Arc<DomainLimits>>,
    clock: SharedClock,
    outbox: Wake,
}

impl Sender {
    pub(super) fn of(dispatcher: &Dispatcher) -> Self {
        Self {
            notifications: Arc::clone(&dispatcher.notifications),
            mailer: Arc::clone(&dispatcher.mailer),
            templates: Arc::clone(&dispatcher.templates),
            limits: dispatcher.limits.clone(),
            clock: Arc::clone(&dispatcher.clock),
            outbox: dispatcher.outbox.clone(),
        }
    }

    /// Sends a notification and stores what came of it.
    pub(super) async fn deliver(
        &self,
        claim: Uuid,
        notification: Notification,
        whom: Whom,
    ) -> Contact {
        let (begun, started) = (self.clock.now(), Instant::now());
        let attempt = AssertUnwindSafe(self.attempt(&notification, whom)).catch_unwind();
        let (fate, contact) = attempt.await.unwrap_or_else(|panic| {
            let answer = format!("a fault in Slipway: {}", panic_text(&*panic));
            tracing::error!(notification = %notification.id, answer);
            (Fate::Tried(Outcome::Permanent, answer), Contact::NotSought)
        });
        let now = self.clock.now();
        let settled = match fate {
            Fate::Tried(outcome, answer) => {
                let attempt = Attempt::new(begun, started.elapsed(), outcome, &answer);
                let spread = rand::rng().random_range(-1.0..=1.0);
                notification.settle(attempt, spread, now)
            }
            Fate::PutOff => {
                let wait = rand::rng().random_range(PUT_OFF.0..=PUT_OFF.1);
                notification.postpone(now.saturating_add(wait).unwrap_or(now), now)
            }
        };
        if self.record(claim, &settled).await {
            count(&settled.notification, now);
        }
        contact
    }

    /// Stores that a notification is not wanted, or not yet.
    pub(super) async fn withhold(
        &self,
        claim: Uuid,
        notification: Notification,
        decision: Decision,
    ) -> Contact {
        let now = self.clock.now();
        let settled = match decision {
            Decision::Suppress(why) => notification.withhold(why.to_string(), now),
            Decision::Defer(until) => notification.postpone(until, now),
            Decision::Deliver => notification.postpone(now, now),
        };
        if self.record(claim, &settled).await {
            m::count_decision(decision);
        }
        Contact::NotSought
    }

    async fn attempt(&self, notification: &Notification, whom: Whom) -> (Fate, Contact) {
        let refused =
            |outcome, answer: &str| (Fate::Tried(outcome, answer.to_owned()), Contact::NotSought);
        let (name, address) = match whom {
            Whom::Known { name, address } => (name, address),
            Whom::Unknown => {
                return refused(
                    Outcome::Temporary,
                    "the recipient's account is not known yet",
                );
            }
            Whom::Unusable => {
                return refused(Outcome::Permanent, "the recipient's address cannot be used");
            }
        };
        let (kind, data) = (&notification.kind, &notification.data);
        let body = match self.templates.body(kind, data, &name).await {
            Ok(body) => body,
            Err(error) => return refused(Outcome::Permanent, &format!("template: {error}")),
        };
        if let Some(limits) = &self.limits
            && !limits.pass(&address.domain()).await
        {
            return (Fate::PutOff, Contact::NotSought);
        }
        let mail = Mail {
            id: notification.id,
            to: address,
            subject: notification.subject.clone(),
            text: body.text,
            html: body.html,
            date: self.clock.now(),
        };
        let (outcome, answer) = match self.mailer.send(&mail).await {
            Sending::Accepted(answer) => (Outcome::Accepted, answer),
            Sending::Temporary(answer) => (Outcome::Temporary, answer),
            Sending::Permanent(answer) => (Outcome::Permanent, answer),
            Sending::Unreachable(answer) => (Outcome::Unreachable, answer),
        };
        let contact = match outcome {
            Outcome::Unreachable => Contact::Failed,
            _ => Contact::Made,
        };
        (Fate::Tried(outcome, answer), contact)
    }

    /// Stores an outcome, again and again while the database is away: the mail is sent,
    /// and forgetting that would send it again. Whether it was still ours to store.
    async fn record(&self, claim: Uuid, settled: &Settled) -> bool {
        let Settled {
            notification,
            is_final,
        } = settled;
        // What was not to be sent is nobody's business but the recipient's.
        let events = match notification.state {
            State::Sent | State::Failed if *is_final => vec![told_by(notification)],
            _ => vec![],
        };
        loop {
            let stored = self
                .notifications
                .settle(claim, notification, events.clone());
            match stored.await {
                Ok(true) => break,
                Ok(false) => {
                    tracing::warn!(notification = %notification.id,
                        "its claim ended before its outcome was stored: it is sent again");
                    return false;
                }
                Err(error) => {
                    tracing::warn!(notification = %notification.id, %error,
                        "its outcome cannot be stored yet");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
            }
        }
        if !events.is_empty() {
            self.outbox.wake(notification.id.0);
        }
        true
    }
}

fn count(notification: &Notification, now: Timestamp) {
    let Some(last) = notification.attempts.last() else {
        return;
    };
    let kind = notification.kind.clone();
    metrics::counter!(m::ATTEMPTS, "outcome" => last.outcome.as_str()).increment(1);
    match notification.state {
        State::Sent => {
            let took = now.duration_since(notification.created_at).as_secs_f64();
            metrics::histogram!(m::SENT_AFTER_SECONDS).record(took.max(0.0));
            metrics::counter!(m::SENT, "type" => kind).increment(1);
        }
        State::Failed => {
            tracing::error!(notification = %notification.id, kind, reason = notification.reason,
                "a notification failed");
            metrics::counter!(m::FAILED, "type" => kind).increment(1);
        }
        _ => metrics::counter!(m::RETRIED, "type" => kind).increment(1),
    }
}
