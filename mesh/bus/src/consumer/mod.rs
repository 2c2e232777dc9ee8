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
//! | poison: not a valid event, refused for ever, panicked on twice, retries used up | it goes to the group's dead-letter topic with the reason and its history |
//!
//! Publishing to a retry or dead-letter topic always succeeds while the bus is there ([`reroute`]).
//! Why a group makes no progress is what its health check says ([`health`]).
//!
//! Dead letters of all groups are taken up by [`collect`]; what one is, and how it is sent
//! back to its group, is in [`dead`].
//!
//! The group goes on being a member all the while, however long a batch is held: the
//! adapters see to that.

pub mod collect;
pub mod dead;
pub mod envelope;
pub mod handler;
mod health;
mod member;
mod reroute;
mod settle;
mod truncate;

use std::sync::Arc;

pub use collect::{Collector, RecordSink};
pub use dead::DeadLetter;
pub use envelope::{Attempt, dead_letter_topic, retry_topic};
pub use handler::{Failure, Handler, Order, Refusal, TIERS, Verdict, all_or_poison};

use self::{
    health::GroupHealth,
    member::{Member, Source},
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
    /// Where stalled groups are reported. Their service still serves: only what it makes of
    /// events is late.
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
        let health = host.group_health(group);
        let tiers = (1..=consumer.group.order.retry_topics()).map(Source::Tier);
        for source in std::iter::once(Source::Topics).chain(tiers) {
            let (consumer, health) = (Arc::clone(&consumer), Arc::clone(&health));
            let (bus, clock) = (host.bus.clone(), host.clock.clone());
            host.background.spawn(group, move |stop| {
                let member = Member {
                    consumer: Arc::clone(&consumer),
                    source,
                    bus: bus.clone(),
                    clock: clock.clone(),
                    health: Arc::clone(&health),
                    stop,
                };
                async move { member.until_stopped().await }
            });
        }
    }
}

impl Host {
    /// The health of a group's members, registered as a health check of the process.
    fn group_health<M: Ord + Send + 'static>(&self, group: &'static str) -> Arc<GroupHealth<M>> {
        let health = Arc::new(GroupHealth::new(group));
        let check = Arc::clone(&health);
        self.health.depends(group, CONSUMER, Need::Degraded, check);
        health
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
