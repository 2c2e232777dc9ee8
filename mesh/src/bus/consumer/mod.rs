//! How a service consumes: in batches, committing after the effect.
//!
//! A handler stores the effect of a batch, once per event id, in one write; only then
//! are the offsets committed. A crash between the two delivers the batch again. What a
//! failure gets is data, see [`handler`]:
//!
//! | failure | what happens |
//! | --- | --- |
//! | transient: what the handler needs is away | the same batch is tried again with growing delay; nothing behind it overtakes; after a minute it is an incident |
//! | retryable: not this event, not now | [`Order::Free`]: it goes through the group's retry topics and the partition goes on; [`Order::PerKey`]: as transient |
//! | poison: no event, refused for ever, panicked on twice, retries used up | it goes to the group's dead letters with the reason and its history |
//!
//! Dead letters of all groups are taken up by [`collect`]; what one is, and how it is sent
//! back to its group, is in [`dead`].
//!
//! The group goes on being a member all the while, however long a batch is held: the
//! adapters see to that.

pub mod collect;
pub mod dead;
mod delay;
pub mod handler;
pub mod letter;
mod run;
mod settle;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;

pub use collect::{Collector, Keeper};
pub use dead::DeadLetter;
pub(crate) use delay::Delay;
pub use handler::{Failure, Handler, Order, Refusal, TIERS, Verdict};
pub use letter::{Attempt, dead_letter_topic, retry_topic};

use self::run::{Run, Source};
use super::{SharedBus, TopicSpec};
use crate::{clock::SharedClock, life::Background};

/// Partitions of a retry topic: so many replicas can share the work.
const RETRY_PARTITIONS: u32 = 3;

/// A consumer group to be run.
pub struct Consumer {
    /// The group's name.
    pub group: &'static str,
    /// What it consumes.
    pub topics: Vec<String>,
    /// Whether the handler needs the order of events.
    pub order: Order,
    /// What it does.
    pub handler: Arc<dyn Handler>,
}

impl Consumer {
    /// Runs the group's members, one for its topics and one for each tier of retries, in
    /// the background until they are told to stop: then the batch in hand is finished
    /// and committed.
    pub fn spawn(self, bus: &SharedBus, clock: &SharedClock, background: &Background) {
        let consumer = Arc::new(self);
        let tiers = (1..=consumer.order.retry_topics()).map(Source::Tier);
        for source in std::iter::once(Source::Topics).chain(tiers) {
            let (consumer, bus, clock) = (Arc::clone(&consumer), bus.clone(), clock.clone());
            background.spawn(consumer.group, move |stop| {
                let run = Run {
                    consumer: Arc::clone(&consumer),
                    source,
                    bus: bus.clone(),
                    clock: clock.clone(),
                    stop,
                };
                async move { run.until_stopped().await }
            });
        }
    }

    /// The topics that this group has for itself.
    #[must_use]
    pub fn own_topics(&self) -> Vec<TopicSpec> {
        let tiers = 1..=self.order.retry_topics();
        let mut own = Vec::new();
        for topic in &self.topics {
            own.push(TopicSpec {
                name: dead_letter_topic(topic, self.group),
                partitions: 1,
            });
            own.extend(tiers.clone().map(|tier| TopicSpec {
                name: retry_topic(topic, self.group, tier),
                partitions: RETRY_PARTITIONS,
            }));
        }
        own
    }
}
