//! Consumes events in batches and commits the offsets after the effect.
//!
//! A handler stores the effect of a batch, once per event id, in one write; only then are the
//! offsets committed. After a crash between the two, the batch is delivered again. What happens
//! after a failure depends on its kind (see [`handler`]):
//!
//! | failure | what happens |
//! | --- | --- |
//! | transient: a dependency of the handler is unavailable | the same batch is tried again with growing delay; no later event overtakes it; after a minute it is an incident |
//! | retryable: this event cannot be handled now | [`Order::Free`]: it goes through the group's retry topics and the partition continues; [`Order::PerKey`]: as transient |
//! | poison: an invalid event, refused for good, or the handler panicked twice, or no retries are left | it goes to the group's dead-letter topic with the reason and its history |
//!
//! Publishing to a retry or dead-letter topic always succeeds while the bus is available
//! ([`reroute`]). The group's health check says why a group makes no progress ([`health`]).
//!
//! [`collect`] collects the dead letters of all groups; [`dead`] reads one and replays it to its
//! group.
//!
//! A member stays in the group however long it retries a batch: the adapters see to that.

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
use crate::metrics as m;
use slipway_runtime::{
    alarm::watch::CONSUMER,
    clock::SharedClock,
    life::{Background, Health, Need},
};

/// Partitions of a retry topic, so that as many replicas can share the work.
const RETRY_PARTITIONS: u32 = 3;

/// The largest record that a group's own topics accept: the largest record of the original topic
/// plus the envelope's headers.
const OWN_RECORD_BYTES: u32 = 2 * 1024 * 1024;

/// The environment that consumers run in.
#[derive(Clone)]
pub struct Host {
    /// The bus to consume from.
    pub bus: SharedBus,
    /// The clock.
    pub clock: SharedClock,
    /// Runs the members.
    pub background: Background,
    /// Where stalled groups are reported, as degraded: their service still serves requests, only
    /// the effects of events are late.
    pub health: Health,
}

/// A consumer group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name on the bus and in metrics.
    pub name: &'static str,
    /// The topics it consumes.
    pub topics: Vec<String>,
    /// Whether its handler needs the order of events.
    pub order: Order,
}

/// A consumer group with its handler.
pub struct Consumer {
    /// The group that it is a member of.
    pub group: Group,
    /// Handles its events.
    pub handler: Arc<dyn Handler>,
}

impl Consumer {
    /// Runs the group's members in the background until shutdown: one for its topics and one for
    /// each tier of retries. On shutdown a member finishes and commits its current batch.
    pub fn spawn(self, host: &Host) {
        let consumer = Arc::new(self);
        let group = consumer.group.name;
        m::begin_group(&consumer.group);
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
    /// Registers the health of a group's members as a health check of the process.
    fn group_health<M: Ord + Send + 'static>(&self, group: &'static str) -> Arc<GroupHealth<M>> {
        let health = Arc::new(GroupHealth::new(group));
        let check = Arc::clone(&health);
        self.health.depends(group, CONSUMER, Need::Degraded, check);
        health
    }
}

impl Group {
    /// The retry and dead-letter topics of this group.
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
