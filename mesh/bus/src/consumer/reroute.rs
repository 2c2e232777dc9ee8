//! Publishes refused events to the next retry topic or, after the last one, to the dead-letter
//! topic. This always succeeds while the bus is available: a record that is too large for the topic
//! is truncated, because the group cannot continue before it is published.

use jiff::Timestamp;

use super::{
    envelope::{Cause, Envelope, due},
    handler::Order,
    member::Source,
    settle::{Disposition, Refused},
    truncate,
};
use crate::metrics as m;
use crate::{BusError, Outcome, Record, SharedBus, event};

/// Size to which a record is first truncated; halved while the topic still refuses it …
const TRUNCATE_TO: usize = 512 * 1024;
/// … down to this size, which every topic accepts.
const TRUNCATE_TO_AT_LEAST: usize = 8 * 1024;

/// A refused record and its destination.
pub(super) struct Rerouted {
    envelope: Envelope,
    destination: Destination,
    reason: String,
}

enum Destination {
    /// Will be tried again, from this retry topic.
    Retry {
        tier: usize,
        due: Timestamp,
    },
    Dead(Cause),
}

/// Publishes all records durably.
///
/// # Errors
/// If the bus is unavailable, or refuses a record for another reason than its size. Some
/// records may be published already.
pub(super) async fn publish(
    bus: &SharedBus,
    group: &'static str,
    mut rerouted: Vec<Rerouted>,
) -> Result<(), BusError> {
    if rerouted.is_empty() {
        return Ok(());
    }
    let records = rerouted.iter().map(|one| one.record(group)).collect();
    if let Err(unpublished) = bus.publish(records).await {
        let too_large = |outcome: &Outcome| matches!(outcome, Err(BusError::TooLarge(_)));
        let outcomes = unpublished.clone().outcomes();
        if !outcomes.iter().any(too_large) {
            return Err(unpublished.into());
        }
        let failed = rerouted.iter_mut().zip(&outcomes);
        for (one, _) in failed.filter(|(_, outcome)| outcome.is_err()) {
            one.publish_truncated(bus, group).await?;
        }
    }
    for one in &rerouted {
        one.report(group);
    }
    Ok(())
}

impl Rerouted {
    /// Decides where an event goes that a member of `source` refused at `now`.
    pub(super) fn new(refused: Refused, source: Source, order: Order, now: Timestamp) -> Self {
        let Refused {
            mut envelope,
            disposition,
            reason,
        } = refused;
        envelope.failed(now, &reason);
        let tier = match source {
            Source::Topics => 1,
            Source::Tier(tier) => tier + 1,
        };
        let destination = match (disposition, order.tiers().get(tier - 1)) {
            (Disposition::Retry, Some(wait)) => Destination::Retry {
                tier,
                due: due(now, *wait),
            },
            (Disposition::Retry, None) => Destination::Dead(Cause::Exhausted),
            (Disposition::Dead(cause), _) => Destination::Dead(cause),
        };
        Self {
            envelope,
            destination,
            reason,
        }
    }

    fn record(&self, group: &str) -> Record {
        match self.destination {
            Destination::Retry { tier, due } => self.envelope.retry(group, tier, due),
            Destination::Dead(cause) => self.envelope.dead(group, cause, &self.reason),
        }
    }

    /// Publishes the record, truncated as far as necessary. A truncated record is not retried but
    /// becomes a dead letter.
    async fn publish_truncated(&mut self, bus: &SharedBus, group: &str) -> Result<(), BusError> {
        let (whole, reason) = (self.envelope.record.clone(), self.reason.clone());
        let mut room = TRUNCATE_TO;
        loop {
            let published = bus.publish(vec![self.record(group)]).await;
            match published.map_err(BusError::from) {
                Err(BusError::TooLarge(_)) if room >= TRUNCATE_TO_AT_LEAST => {}
                published => return published,
            }
            let (record, what) = truncate::to(&whole, room);
            self.envelope.record = record;
            self.reason = format!("{what}: {reason}");
            if let Destination::Retry { .. } = self.destination {
                self.destination = Destination::Dead(Cause::Poison);
            }
            room /= 2;
        }
    }

    fn report(&self, group: &'static str) {
        let record = &self.envelope.record;
        let topic = record.topic.clone();
        match self.destination {
            Destination::Retry { tier, .. } => {
                let reason = &self.reason;
                tracing::warn!(group, topic, tier, reason, "event will be retried");
                metrics::counter!(m::EVENTS_DEFERRED, "group" => group, "tier" => tier.to_string())
                    .increment(1);
            }
            Destination::Dead(cause) => {
                let cause = cause.as_str();
                let event = record.header(event::ID).unwrap_or_default();
                // The reason may repeat what is in the payload. The dead letter has it.
                tracing::error!(group, topic, event, cause, "event became a dead letter");
                metrics::counter!(
                    m::EVENTS_DEAD, "group" => group, "topic" => topic, "cause" => cause
                )
                .increment(1);
            }
        }
    }
}
