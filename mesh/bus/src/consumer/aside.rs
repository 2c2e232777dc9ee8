//! Putting aside what was refused: for the next retry topic, or behind the last one as a
//! dead letter. It always succeeds while the bus is there: what a topic finds too large is
//! cut to what it takes, because the group cannot go on before it is aside.

use jiff::Timestamp;

use super::{
    cut,
    handler::Order,
    letter::{Cause, Letter, due},
    run::Source,
    settle::{Fate, Refused},
};
use crate::{BusError, Outcome, Record, SharedBus};
use slipway_runtime::telemetry::metrics as m;

/// What a letter is cut to at first; while that is too much, to half of it …
const CUT_TO: usize = 512 * 1024;
/// … until this, which every topic takes.
const CUT_TO_AT_LEAST: usize = 8 * 1024;

/// Something refused, and where it goes.
pub(super) struct Aside {
    letter: Letter,
    way: Way,
    reason: String,
}

enum Way {
    /// To be tried again, out of this retry topic.
    Retry {
        tier: usize,
        due: Timestamp,
    },
    Dead(Cause),
}

/// Puts all of them aside, durably.
///
/// # Errors
/// If the bus is away, or refuses for another reason than their size. Some may be aside
/// already.
pub(super) async fn put(
    bus: &SharedBus,
    group: &'static str,
    mut aside: Vec<Aside>,
) -> Result<(), BusError> {
    if aside.is_empty() {
        return Ok(());
    }
    let records = aside.iter().map(|one| one.record(group)).collect();
    if let Err(unpublished) = bus.publish(records).await {
        let too_large = |outcome: &Outcome| matches!(outcome, Err(BusError::TooLarge(_)));
        let outcomes = unpublished.clone().outcomes();
        if !outcomes.iter().any(too_large) {
            return Err(unpublished.into());
        }
        let failed = aside.iter_mut().zip(&outcomes);
        for (one, _) in failed.filter(|(_, outcome)| outcome.is_err()) {
            one.put_alone(bus, group).await?;
        }
    }
    for one in &aside {
        one.tell(group);
    }
    Ok(())
}

impl Aside {
    /// What becomes of what a member that reads `source` refuses at `now`.
    pub(super) fn new(refused: Refused, source: Source, order: Order, now: Timestamp) -> Self {
        let Refused {
            mut letter,
            fate,
            reason,
        } = refused;
        letter.failed(now, &reason);
        let tier = match source {
            Source::Topics => 1,
            Source::Tier(tier) => tier + 1,
        };
        let way = match (fate, order.tiers().get(tier - 1)) {
            (Fate::Retry, Some(wait)) => Way::Retry {
                tier,
                due: due(now, *wait),
            },
            (Fate::Retry, None) => Way::Dead(Cause::Exhausted),
            (Fate::Dead(cause), _) => Way::Dead(cause),
        };
        Self {
            letter,
            way,
            reason,
        }
    }

    fn record(&self, group: &str) -> Record {
        match self.way {
            Way::Retry { tier, due } => self.letter.retry(group, tier, due),
            Way::Dead(cause) => self.letter.dead(group, cause, &self.reason),
        }
    }

    /// Puts it aside, cut as far as it takes. What is cut is not tried again.
    async fn put_alone(&mut self, bus: &SharedBus, group: &str) -> Result<(), BusError> {
        let (whole, reason) = (self.letter.record.clone(), self.reason.clone());
        let mut room = CUT_TO;
        loop {
            let published = bus.publish(vec![self.record(group)]).await;
            match published.map_err(BusError::from) {
                Err(BusError::TooLarge(_)) if room >= CUT_TO_AT_LEAST => {}
                published => return published,
            }
            let (record, what) = cut::to(&whole, room);
            self.letter.record = record;
            self.reason = format!("{what}: {reason}");
            if let Way::Retry { .. } = self.way {
                self.way = Way::Dead(Cause::Poison);
            }
            room /= 2;
        }
    }

    fn tell(&self, group: &'static str) {
        let (topic, reason) = (self.letter.record.topic.clone(), &self.reason);
        match self.way {
            Way::Retry { tier, .. } => {
                tracing::warn!(group, topic, tier, reason, "an event is tried again later");
                metrics::counter!(m::EVENTS_DEFERRED, "group" => group, "tier" => tier.to_string())
                    .increment(1);
            }
            Way::Dead(cause) => {
                let cause = cause.as_str();
                tracing::error!(group, topic, reason, cause, "an event is a dead letter");
                metrics::counter!(
                    m::EVENTS_DEAD, "group" => group, "topic" => topic, "cause" => cause
                )
                .increment(1);
            }
        }
    }
}
