//! Calls the handler for a batch until each event is either handled or refused.

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
    telemetry::spans::{self, STEPS},
};
use tokio_util::sync::CancellationToken;

/// How often the log says that a batch is being retried.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A batch that is retried, or a group that keeps failing, is an incident after this time.
pub(super) const INCIDENT_AFTER: Duration = Duration::from_secs(60);

/// An event of a batch and the record it came in.
pub(super) struct Item {
    pub(super) envelope: Envelope,
    pub(super) event: Event,
}

/// An item that was taken out of its batch because the handler refused it.
pub(super) struct Refused {
    pub(super) envelope: Envelope,
    pub(super) disposition: Disposition,
    pub(super) reason: String,
}

/// How a refused item is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    Retry,
    Dead(Cause),
}

/// A batch in which every event is either handled or refused.
#[derive(Default)]
pub(super) struct Settled {
    pub(super) handled: Vec<Event>,
    pub(super) refused: Vec<Refused>,
}

/// The result of calling the handler repeatedly.
enum Outcome {
    Handled,
    Refused(Vec<Refusal>),
    Panicked(String),
    Stopping,
}

impl Consumer {
    /// Handles a batch; `None` if the process is stopping and the batch is not finished.
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

    /// Handles the items one by one, after the handler panicked on the batch. An item on which it
    /// panics again becomes a dead letter.
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

    /// Calls the handler again and again, as long as its failure is not the fault of the events.
    async fn try_until_settled(&self, events: &[Event], stop: &CancellationToken) -> Outcome {
        let mut hold = Hold::new(self.group.name);
        let _spans = spans::shared_step(events.iter().map(|event| Some(event.trace)), || {
            tracing::debug_span!(
                target: STEPS, "consume", group = self.group.name, otel.kind = "consumer"
            )
        });
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

    /// Returns the refusals that take their event out of the batch, and the reason to retry the
    /// batch if there are none.
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

/// A batch that is being retried. No later record overtakes it.
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
