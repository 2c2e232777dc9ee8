//! The handler of a consumer group, and the ways in which it can refuse events.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::Event;

/// Default delay before each retry, for groups that do not need the order of events.
pub const TIERS: &[Duration] = &[
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
];

/// The code that a consumer group runs for its events.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Stores the effect of `events`, in their order, all or nothing, and only once per event id:
    /// it must store effects and ids in one write.
    ///
    /// # Errors
    /// If nothing of the batch was stored. After [`Failure::Events`] it is called again
    /// without those events.
    async fn handle(&self, events: &[Event]) -> Result<(), Failure>;
}

/// Why nothing of a batch was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A dependency of the handler is unavailable. The events themselves are fine: they are tried
    /// again with growing delay, and no later event overtakes them.
    Transient(String),
    /// These events cannot be handled; the others may succeed.
    Events(Vec<Refusal>),
}

/// Collects the result for each event, in order.
///
/// # Errors
/// If some events failed: refuses these as poison.
pub fn all_or_poison<'a, T, E: ToString>(
    made: impl IntoIterator<Item = (&'a Event, Result<T, E>)>,
) -> Result<Vec<T>, Failure> {
    let (mut all, mut poison) = (Vec::new(), Vec::new());
    for (event, made) in made {
        match made {
            Ok(made) => all.push(made),
            Err(reason) => poison.push(Refusal {
                event_id: event.id,
                verdict: Verdict::Poison,
                reason: reason.to_string(),
            }),
        }
    }
    if poison.is_empty() {
        Ok(all)
    } else {
        Err(Failure::Events(poison))
    }
}

/// An event that a handler refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Id of the event.
    pub event_id: Uuid,
    /// Whether a later try may succeed.
    pub verdict: Verdict,
    /// The reason, for the operators.
    pub reason: String,
}

/// How a refused event is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again later: a dependency refuses this event for the moment.
    Retryable,
    /// Never try again: the event violates its schema or asks for something impossible.
    Poison,
}

/// Whether a group's handler needs the order of events. This decides what happens to a retryable
/// event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The events of a key are handled in the order of their publication. A retryable event blocks
    /// the events behind it, like a transient failure. A replayed dead letter is out of order: it
    /// arrives when an administrator replays it.
    PerKey,
    /// The order does not matter. A retryable event passes through the group's retry topics, while
    /// the partition continues; after the last one it becomes a dead letter.
    Free {
        /// The delay in each retry topic; [`TIERS`] unless there is a reason for others.
        tiers: &'static [Duration],
    },
}

impl Order {
    /// The number of retry topics per topic. Every group has the first one, because dead letters
    /// are replayed into it.
    pub(super) fn retry_topics(self) -> usize {
        self.tiers().len().max(1)
    }

    /// The delay in each retry topic that the group's own retries use.
    pub(super) fn tiers(self) -> &'static [Duration] {
        match self {
            Self::PerKey => &[],
            Self::Free { tiers } => tiers,
        }
    }
}
