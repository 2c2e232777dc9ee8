//! What a group does with events, and what becomes of those it cannot handle.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::Event;

/// How long an event waits before each further try, where order is not needed.
pub const TIERS: &[Duration] = &[
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
];

/// What a consumer group does with events.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Stores the effect of `events`, in their order, all or nothing, and of each event
    /// id only once: effects and ids in one write.
    ///
    /// # Errors
    /// If nothing of the batch was stored. After [`Failure::Events`] it is called again
    /// without those events.
    async fn handle(&self, events: &[Event]) -> Result<(), Failure>;
}

/// Why nothing of a batch was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// What the handler needs is away. It is not the events' fault: they are tried
    /// again with growing delay, and nothing overtakes them.
    Transient(String),
    /// These events cannot be handled; the others perhaps can.
    Events(Vec<Refusal>),
}

/// What was made of each event, in their order.
///
/// # Errors
/// If some cannot be handled: these, as poison.
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

/// An event that a handler cannot handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub event_id: Uuid,
    /// Whether later it might.
    pub verdict: Verdict,
    /// For the people who look after it.
    pub reason: String,
}

/// What a refused event gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not now: a dependency refuses this event for the moment.
    Retryable,
    /// Never: it violates its schema, or asks for what cannot be.
    Poison,
}

/// Whether a group's handler needs the order of events. It decides what a retryable
/// event gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The events of a key in the order of their publication. A retryable event holds up
    /// what is behind it, like a transient failure. A replayed dead letter is out of its
    /// order: it comes when an administrator sends it.
    PerKey,
    /// None. A retryable event waits in the group's retry topics, one after the other,
    /// and the partition goes on; after the last it is a dead letter.
    Free {
        /// How long it waits in each; [`TIERS`] unless there is a reason.
        tiers: &'static [Duration],
    },
}

impl Order {
    /// How many retry topics a group has for each topic. Every group has the first: dead
    /// envelopes are replayed into it.
    pub(super) fn retry_topics(self) -> usize {
        self.tiers().len().max(1)
    }

    /// How long an event waits in each retry topic that the group itself uses.
    pub(super) fn tiers(self) -> &'static [Duration] {
        match self {
            Self::PerKey => &[],
            Self::Free { tiers } => tiers,
        }
    }
}
