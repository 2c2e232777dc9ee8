//! Sends one mail, for one notification or several, and stores the outcome.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use jiff::Timestamp;
use rand::RngExt as _;
use slipway_runtime::{
    clock::SharedClock,
    life::panic_text,
    telemetry::{TraceContext, spans::STEPS},
};
use slipway_store::outbox::Wake;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{ClaimedMail, Contact, Dispatcher, DomainLimits, SETTLES_AFTER};
use crate::{
    metrics as m,
    notification::{
        Attempt, Notification, NotificationId, Outcome, Settled, State, Subject, digest,
        events::outcome_event,
        gathering,
        links::{Link, LinkSecrets, NoSecret, SECRET},
        mail::{Address, Mail, Sending, SharedMailer},
        preferences::Decision,
        store::{Claimed, NotificationStore},
        templates::{Body, Library, Reader, RenderError},
    },
};

/// How long a mail is postponed when its domain's rate limit is used up: a random time in this
/// range, so that not all are retried at once.
const POSTPONE_BY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Delay before storing an outcome is retried.
const STORE_AGAIN: Duration = Duration::from_millis(500);

/// The recipient of a mail, after the lookup.
pub(super) enum MailRecipient {
    /// The address is known, and who reads the mail.
    Known { reader: Reader, address: Address },
    /// An account whose event has not arrived yet.
    Unknown,
    /// The address cannot be used.
    Unusable,
}

impl MailRecipient {
    pub(super) fn at(reader: Reader, address: &str) -> Self {
        match address.parse() {
            Ok(address) => Self::Known { reader, address },
            Err(_) => Self::Unusable,
        }
    }
}

/// The result of a claimed mail.
enum Disposition {
    Tried(Outcome, String),
    Postponed,
    /// Not sent, for this reason.
    Withheld(&'static str),
}

/// What a mail says.
enum Words {
    Written(Subject, Body),
    /// The secret of its link cannot be had at the moment.
    Later,
    /// Its link is not valid any more, for this reason.
    Void(&'static str),
}

/// Sends claimed notifications.
pub(super) struct Sender {
    notifications: NotificationStore,
    mailer: SharedMailer,
    templates: Arc<Library>,
    links: Arc<dyn LinkSecrets>,
    limits: Option<Arc<DomainLimits>>,
    clock: SharedClock,
    outbox: Wake,
}

impl Sender {
    pub(super) fn of(dispatcher: &Dispatcher) -> Self {
        Self {
            notifications: dispatcher.notifications.clone(),
            mailer: Arc::clone(&dispatcher.mailer),
            templates: Arc::clone(&dispatcher.templates),
            links: Arc::clone(&dispatcher.links),
            limits: dispatcher.limits.clone(),
            clock: Arc::clone(&dispatcher.clock),
            outbox: dispatcher.outbox.clone(),
        }
    }

    /// Sends the wanted notifications of a claimed mail and stores the result.
    pub(super) async fn process(&self, mail: ClaimedMail) -> Contact {
        self.withhold(mail.withheld).await;
        if mail.wanted.is_empty() {
            return Contact::NotTried;
        }
        let span = tracing::debug_span!(target: STEPS, "send", mail = %mail.id);
        let trace = mail.wanted.first().and_then(|claimed| claimed.trace);
        let trace = TraceContext::of(&span, trace);
        let delivery = self.deliver(mail.id, mail.wanted, mail.recipient);
        trace.scope(delivery.instrument(span)).await
    }

    async fn deliver(
        &self,
        id: NotificationId,
        claimed: Vec<Claimed>,
        recipient: MailRecipient,
    ) -> Contact {
        let (begun, started) = (self.clock.now(), Instant::now());
        let attempt = AssertUnwindSafe(self.attempt(id, &claimed, recipient)).catch_unwind();
        let (disposition, contact) = attempt.await.unwrap_or_else(|panic| {
            let answer = format!("a fault in Slipway: {}", panic_text(&*panic));
            tracing::error!(mail = %id, answer);
            (
                Disposition::Tried(Outcome::Permanent, answer),
                Contact::NotTried,
            )
        });
        let now = self.clock.now();
        let took = started.elapsed();
        let spread = rand::rng().random_range(-1.0..=1.0);
        let wait = rand::rng().random_range(POSTPONE_BY.0..=POSTPONE_BY.1);
        let again = now.saturating_add(wait).unwrap_or(now);
        let settled = claimed.iter().map(|claimed| match &disposition {
            Disposition::Tried(outcome, answer) => {
                let attempt = Attempt::new(begun, took, *outcome, answer);
                claimed.notification().settle(attempt, spread, now)
            }
            Disposition::Postponed => claimed.notification().postpone(again, now),
            Disposition::Withheld(why) => claimed.notification().withhold(*why, now),
        });
        let settled: Vec<_> = settled.collect();
        if self.record(&claimed, &settled).await
            && let Disposition::Tried(outcome, _) = disposition
        {
            count(outcome, &settled, now);
        }
        contact
    }

    /// Fails notifications that have waited too long for an unavailable mail server. Others of the
    /// same digest that became due later are returned to the queue.
    pub(super) async fn give_up(&self, claimed: Vec<Claimed>, due_by: Timestamp, why: &str) {
        let now = self.clock.now();
        let settled = claimed.iter().map(|claimed| {
            let notification = claimed.notification();
            if notification.due_at > due_by {
                let due_at = notification.due_at;
                return notification.postpone(due_at, now);
            }
            let attempt = Attempt::new(now, Duration::ZERO, Outcome::Unreachable, why);
            notification.give_up(attempt, now)
        });
        let settled: Vec<_> = settled.collect();
        if self.record(&claimed, &settled).await {
            count(Outcome::Unreachable, &settled, now);
        }
    }

    /// Stores that notifications are suppressed, deferred or waiting for others.
    async fn withhold(&self, withheld: Vec<(Claimed, Decision)>) {
        if withheld.is_empty() {
            return;
        }
        let now = self.clock.now();
        let again = now.saturating_add(SETTLES_AFTER).unwrap_or(now);
        let (claimed, decisions): (Vec<_>, Vec<_>) = withheld.into_iter().unzip();
        let settled = claimed.iter().zip(&decisions).map(|(claimed, decision)| {
            let notification = claimed.notification();
            match decision {
                Decision::Suppress(why) => notification.withhold(why.to_string(), now),
                Decision::Defer(until) => {
                    gathering::after_quiet_hours(notification, *until).postpone(*until, now)
                }
                Decision::Deliver => notification.postpone(again, now),
            }
        });
        let settled: Vec<_> = settled.collect();
        if self.record(&claimed, &settled).await {
            for decision in decisions {
                m::count_decision(decision);
            }
        }
    }

    async fn attempt(
        &self,
        id: NotificationId,
        notifications: &[Claimed],
        recipient: MailRecipient,
    ) -> (Disposition, Contact) {
        let refused = |outcome, answer: &str| {
            (
                Disposition::Tried(outcome, answer.to_owned()),
                Contact::NotTried,
            )
        };
        let (reader, address) = match recipient {
            MailRecipient::Known { reader, address } => (reader, address),
            MailRecipient::Unknown => {
                return refused(
                    Outcome::Temporary,
                    "the recipient's account is not known yet",
                );
            }
            MailRecipient::Unusable => {
                return refused(Outcome::Permanent, "the recipient's address cannot be used");
            }
        };
        // Before a secret is asked for: a mail that has to wait needs none.
        if let Some(limits) = &self.limits
            && !limits.pass(&address.domain()).await
        {
            return (Disposition::Postponed, Contact::NotTried);
        }
        let (subject, body) = match self.words(notifications, reader).await {
            Ok(Words::Written(subject, body)) => (subject, body),
            Ok(Words::Later) => return (Disposition::Postponed, Contact::NotTried),
            Ok(Words::Void(why)) => return (Disposition::Withheld(why), Contact::NotTried),
            Err(error) => return refused(Outcome::Permanent, &format!("template: {error}")),
        };
        let mail = Mail {
            id,
            to: address,
            subject,
            text: body.text,
            html: body.html,
            date: self.clock.now(),
            trace: notifications.first().and_then(|claimed| claimed.trace),
        };
        let began = Instant::now();
        let sending = self.mailer.send(&mail).await;
        let took = began.elapsed();
        let (outcome, answer) = match sending {
            Sending::Accepted(answer) => (Outcome::Accepted, answer),
            Sending::Temporary(answer) => (Outcome::Temporary, answer),
            Sending::Permanent(answer) => (Outcome::Permanent, answer),
            Sending::Unreachable(answer) => (Outcome::Unreachable, answer),
        };
        metrics::histogram!(m::EMAIL_SECONDS, "outcome" => outcome.as_str()).record(took);
        let contact = match outcome {
            Outcome::Unreachable => Contact::Failed(answer.clone()),
            _ => Contact::Made,
        };
        (Disposition::Tried(outcome, answer), contact)
    }

    /// The mail's subject and body.
    async fn words(&self, notifications: &[Claimed], reader: Reader) -> Result<Words, RenderError> {
        let templates = &self.templates;
        if let [one] = notifications {
            let mut data = one.data.clone();
            if let Some(link) = Link::of(one) {
                match self.secret(link).await {
                    Ok(secret) => data[SECRET] = secret.into(),
                    Err(words) => return Ok(words),
                }
            }
            let body = templates.body(&one.kind, &data, reader).await?;
            return Ok(Words::Written(one.subject.clone(), body));
        }
        let data = digest::data(notifications);
        let body = templates.body(digest::TEMPLATE, &data, reader).await?;
        Ok(Words::Written(digest::subject(notifications), body))
    }

    /// A secret for the link of a mail.
    async fn secret(&self, link: Link) -> Result<String, Words> {
        if link.expires_at <= self.clock.now() {
            return Err(Words::Void(
                "LINK_EXPIRED: its link had expired before it was sent",
            ));
        }
        self.links.issue(link).await.map_err(|why| match why {
            NoSecret::Away => Words::Later,
            NoSecret::Void => Words::Void(
                "LINK_VOID: its link is not valid any more: it was used, or there is a newer one",
            ),
        })
    }

    /// Stores an outcome, and retries while the database is unavailable: without it, the mail would
    /// be sent again. Returns whether the claim was still valid.
    async fn record(&self, claimed: &[Claimed], settled: &[Settled]) -> bool {
        let with_events = settled.iter().map(|settled| {
            let notification = &settled.notification;
            // A suppressed notification is private to its recipient, so it has no event.
            let events = match notification.state {
                State::Sent | State::Failed if settled.is_final => {
                    vec![outcome_event(notification)]
                }
                _ => vec![],
            };
            (notification.clone(), events)
        });
        let with_events: Vec<_> = with_events.collect();
        let stored = loop {
            let stored = self.notifications.settle(claimed, &with_events);
            match stored.await {
                Ok(stored) => break stored,
                Err(error) => {
                    let notification = settled.first().map(|s| s.notification.id.to_string());
                    tracing::warn!(notification, %error, "failed to store the outcome of a mail; trying again");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
            }
        };
        if stored < settled.len() {
            let notification = settled.first().map(|s| s.notification.id.to_string());
            tracing::warn!(
                notification,
                of = settled.len(),
                stored,
                "claim expired before the outcome was stored; the mail will be sent again"
            );
        }
        for (notification, events) in &with_events {
            if stored > 0 && !events.is_empty() {
                self.outbox.wake(notification.id.0);
            }
        }
        stored > 0
    }
}

/// Counts an attempt and the resulting state of each notification.
fn count(outcome: Outcome, settled: &[Settled], now: Timestamp) {
    metrics::counter!(m::ATTEMPTS, "outcome" => outcome.as_str()).increment(1);
    if outcome == Outcome::Accepted && settled.len() > 1 {
        metrics::counter!(m::DIGESTS).increment(1);
    }
    for settled in settled {
        count_one(&settled.notification, now);
    }
}

fn count_one(notification: &Notification, now: Timestamp) {
    let kind = notification.kind.as_str();
    match notification.state {
        State::Sent => {
            let took = now.duration_since(notification.created_at).as_secs_f64();
            metrics::histogram!(m::SENT_AFTER_SECONDS).record(took.max(0.0));
            m::count_state(m::SENT, notification);
        }
        State::Failed => {
            // The reason may have the address. The notification has it.
            tracing::error!(notification = %notification.id, kind, "notification failed");
            m::count_state(m::FAILED, notification);
        }
        _ => m::count_state(m::RETRIED, notification),
    }
}
