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
//! Putting something aside always succeeds while the bus is there ([`aside`]), and what a
//! group fails of meanwhile is what its health check says ([`standing`]).
//!
//! Dead letters of all groups are taken up by [`collect`]; what one is, and how it is sent
//! back to its group, is in [`dead`].
//!
//! The group goes on being a member all the while, however long a batch is held: the
//! adapters see to that.

mod aside;
pub mod collect;
mod cut;
pub mod dead;
pub mod handler;
pub mod letter;
mod run;
mod settle;
mod standing;

use std::sync::Arc;

pub use collect::{Collector, Keeper};
pub use dead::DeadLetter;
pub use handler::{Failure, Handler, Order, Refusal, TIERS, Verdict, all_or_poison};
pub use letter::{Attempt, dead_letter_topic, retry_topic};

use self::{
    run::{Run, Source},
    standing::Standing,
};
use super::{SharedBus, TopicSpec};
use slipway_runtime::{
    alarm::watch::CONSUMER,
    clock::SharedClock,
    life::{Background, Health, Need},
};

/// Partitions of a retry topic: so many replicas can share the work.
const RETRY_PARTITIONS: u32 = 3;

/// The largest record that a group's own topics take: one that its topic took, with what
/// has happened to it since.
const OWN_RECORD_BYTES: u32 = 2 * 1024 * 1024;

/// What consumers run on.
#[derive(Clone)]
pub struct Host {
    /// Where events come from.
    pub bus: SharedBus,
    /// The time.
    pub clock: SharedClock,
    /// Runs them.
    pub background: Background,
    /// Where it is said that a group does not get on. Its service serves meanwhile: what it
    /// makes of events is late.
    pub health: Health,
}

/// A consumer group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name.
    pub name: &'static str,
    /// What it consumes.
    pub topics: Vec<String>,
    /// Whether its handler needs the order of events.
    pub order: Order,
}

/// A consumer group to be run.
pub struct Consumer {
    /// The group.
    pub group: Group,
    /// What it does.
    pub handler: Arc<dyn Handler>,
}

impl Consumer {
    /// Runs the group's members, one for its topics and one for each tier of retries, in
    /// the background until they are told to stop: then the batch in hand is finished
    /// and committed.
    pub fn spawn(self, host: &Host) {
        let consumer = Arc::new(self);
        let group = consumer.group.name;
        let standing = host.standing(group);
        let tiers = (1..=consumer.group.order.retry_topics()).map(Source::Tier);
        for source in std::iter::once(Source::Topics).chain(tiers) {
            let (consumer, standing) = (Arc::clone(&consumer), Arc::clone(&standing));
            let (bus, clock) = (host.bus.clone(), host.clock.clone());
            host.background.spawn(group, move |stop| {
                let run = Run {
                    consumer: Arc::clone(&consumer),
                    source,
                    bus: bus.clone(),
                    clock: clock.clone(),
                    standing: Arc::clone(&standing),
                    stop,
                };
                async move { run.until_stopped().await }
            });
        }
    }
}

impl Host {
    /// How the members of a group get on, which is what its health check says.
    fn standing<M: Ord + Send + 'static>(&self, group: &'static str) -> Arc<Standing<M>> {
        let standing = Arc::new(Standing::new(group));
        let check = Arc::clone(&standing);
        self.health.depends(group, CONSUMER, Need::Degraded, check);
        standing
    }
}

impl Group {
    /// The topics that this group has for itself.
    #[must_use]
    pub fn own_topics(&self) -> Vec<TopicSpec> {
        let tiers = 1..=self.order.retry_topics();
        let mut own = Vec::new();
        for topic in &self.topics {
            own.push(TopicSpec {
                name: dead_letter_topic(topic, self.name),
                partitions: 1,
                record_bytes: Some(OWN_RECORD_BYTES),
            });
            own.extend(tiers.clone().map(|tier| TopicSpec {
                name: retry_topic(topic, self.name, tier),
                partitions: RETRY_PARTITIONS,
                record_bytes: Some(OWN_RECORD_BYTES),
            }));
        }
        own
    }
}
