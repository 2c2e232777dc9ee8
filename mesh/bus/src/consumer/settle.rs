//! What becomes of a batch: handled, or taken out of it one by one.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use tokio::time::Instant;

use super::{
    Consumer, Failure, Order, Refusal, Verdict,
    envelope::{Cause, Envelope},
};
use crate::Event;
use crate::metrics as m;
use slipway_runtime::{
    alarm::{self, Kind},
    backoff::Backoff,
    life::panic_text,
};
use tokio_util::sync::CancellationToken;

/// How often the log says that a batch is being retried.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// From then on a batch that waits, or a group that keeps failing, is an incident.
pub(super) const INCIDENT_AFTER: Duration = Duration::from_secs(60);

/// An event of a batch and the record it came in.
pub(super) struct Item {
    pub(super) envelope: Envelope,
    pub(super) event: Event,
}

/// An item that was taken out of its batch.
pub(super) struct Refused {
    pub(super) envelope: Envelope,
    pub(super) disposition: Disposition,
    pub(super) reason: String,
}

/// What a refused item gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    Retry,
    Dead(Cause),
}

/// A batch of which everything is either handled or refused.
#[derive(Default)]
pub(super) struct Settled {
    pub(super) handled: Vec<Event>,
    pub(super) refused: Vec<Refused>,
}

/// The end of a series of tries.
enum Outcome {
    Handled,
    Refused(Vec<Refusal>),
    Panicked(String),
    Stopping,
}

impl Consumer {
    /// Has a batch handled; `None` if the process is stopping and it is not.
    pub(super) async fn settle(
        &self,
        mut items: Vec<Item>,
        stop: &CancellationToken,
    ) -> Option<Settled> {
        let mut settled = Settled::default();
        while !items.is_empty() {
            let events: Vec<_> = items.iter().map(|item| item.event.clone()).collect();
            match self.try_until_settled(&events, stop).await {
                Outcome::Stopping => return None,
                Outcome::Handled => {
                    settled.handled.extend(events);
                    break;
                }
                Outcome::Refused(refusals) => items = settled.take_out(items, &refusals),
                Outcome::Panicked(_) => {
                    self.settle_singly(items, &mut settled, stop).await?;
                    break;
                }
            }
        }
        Some(settled)
    }

    /// One of the items makes the handler panic: the one that does it again when it is
    /// alone.
    async fn settle_singly(
        &self,
        items: Vec<Item>,
        settled: &mut Settled,
        stop: &CancellationToken,
    ) -> Option<()> {
        for item in items {
            let event = item.event.clone();
            match self
                .try_until_settled(std::slice::from_ref(&event), stop)
                .await
            {
                Outcome::Stopping => return None,
                Outcome::Handled => settled.handled.push(event),
                Outcome::Refused(refusals) => {
                    settled.take_out(vec![item], &refusals);
                }
                Outcome::Panicked(text) => settled.refused.push(Refused {
                    envelope: item.envelope,
                    disposition: Disposition::Dead(Cause::Panic),
                    reason: format!("the handler panicked twice: {text}"),
                }),
            }
        }
        Some(())
    }

    /// Tries again and again while what fails is not the events.
    async fn try_until_settled(&self, events: &[Event], stop: &CancellationToken) -> Outcome {
        let mut hold = Hold::new(self.group.name);
        loop {
            let handled = AssertUnwindSafe(self.handler.handle(events)).catch_unwind();
            let reason = match handled.await {
                Ok(Ok(())) => return Outcome::Handled,
                Err(panic) => return Outcome::Panicked(panic_text(&*panic).to_owned()),
                Ok(Err(Failure::Transient(reason))) => reason,
                Ok(Err(Failure::Events(refusals))) => {
                    let (out, held) = self.divide(refusals, events);
                    if !out.is_empty() {
                        return Outcome::Refused(out);
                    }
                    held
                }
            };
            if hold.wait(&reason, stop).await.is_break() {
                return Outcome::Stopping;
            }
        }
    }

    /// The refusals that take their event out of the batch, and why otherwise the batch
    /// has to be held.
    fn divide(&self, refusals: Vec<Refusal>, events: &[Event]) -> (Vec<Refusal>, String) {
        let reason = refusals.first().map_or_else(
            || "the handler refused events and named none".to_owned(),
            |refusal| refusal.reason.clone(),
        );
        let out = refusals
            .into_iter()
            .filter(|r| events.iter().any(|event| event.id == r.event_id))
            .filter(|r| r.verdict == Verdict::Poison || self.group.order != Order::PerKey)
            .collect();
        (out, reason)
    }
}

impl Settled {
    /// Moves the refused items out; returns the others.
    fn take_out(&mut self, items: Vec<Item>, refusals: &[Refusal]) -> Vec<Item> {
        let mut others = Vec::new();
        for item in items {
            let mut refusals = refusals.iter();
            let Some(refusal) = refusals.find(|refusal| refusal.event_id == item.event.id) else {
                others.push(item);
                continue;
            };
            self.refused.push(Refused {
                envelope: item.envelope,
                disposition: match refusal.verdict {
                    Verdict::Retryable => Disposition::Retry,
                    Verdict::Poison => Disposition::Dead(Cause::Poison),
                },
                reason: refusal.reason.clone(),
            });
        }
        others
    }
}

/// A batch that waits, with nothing behind it overtaking.
struct Hold {
    group: &'static str,
    since: Instant,
    backoff: Backoff,
    waited: bool,
    logged_at: Option<Instant>,
    incident: bool,
}

impl Hold {
    fn new(group: &'static str) -> Self {
        Self {
            group,
            since: Instant::now(),
            backoff: Backoff::default(),
            waited: false,
            logged_at: None,
            incident: false,
        }
    }

    async fn wait(&mut self, reason: &str, stop: &CancellationToken) -> std::ops::ControlFlow<()> {
        let (group, held) = (self.group, self.since.elapsed());
        self.waited = true;
        metrics::counter!(m::EVENTS_RETRIED, "group" => group).increment(1);
        metrics::gauge!(m::CONSUMER_HELD_SECONDS, "group" => group).set(held.as_secs_f64());
        if held >= INCIDENT_AFTER && !self.incident {
            self.incident = true;
            tracing::error!(
                group,
                reason,
                ?held,
                "consumer group is stalled: it has been retrying the same events for over a minute"
            );
        } else if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.logged_at = Some(Instant::now());
            tracing::warn!(
                group,
                reason,
                ?held,
                "handler failed; retrying the same events"
            );
        }
        if self.incident {
            let text = format!(
                "the consumer group {group} has been retrying the same events for a minute"
            );
            alarm::raise(Kind::ConsumerStuck, group, &text);
        }
        self.backoff.wait(stop).await
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.waited {
            metrics::gauge!(m::CONSUMER_HELD_SECONDS, "group" => self.group).set(0.0);
        }
        if self.incident {
            alarm::resolve(Kind::ConsumerStuck, self.group);
        }
    }
}
