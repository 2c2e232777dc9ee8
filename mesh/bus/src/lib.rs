//! The bus between services: events in, events out, at least once.
//!
//! A small port ([`Bus`], [`Subscription`]) with adapters: [`embedded`] is a durable log
//! in an SQLite file; a client of Apache Kafka is a crate of its own. What an event is around its
//! payload is in [`event`]; how a service consumes (commit after the effect, retries,
//! dead letters) is in [`consumer`] and the same for every adapter.

pub mod consumer;
pub mod embedded;
pub mod event;
pub mod metrics;
mod publication;
pub mod security;

#[cfg(feature = "testing")]
pub mod testing;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use embedded::EmbeddedBus;
pub use event::{Actor, Event};
pub use publication::{InOrder, MAX_EVENT, Outcome, Unpublished};
pub use security::Security;

use slipway_runtime::life::Check;

/// A record as the broker stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it is published.
    pub topic: String,
    /// Records with one key are delivered in the order of their publication.
    pub key: String,
    /// Attributes of the event.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub value: Bytes,
}

impl Record {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A record on its way to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The record.
    pub record: Record,
    /// Its partition of the topic.
    pub partition: u32,
    /// Its place in the partition, from 0.
    pub offset: u64,
}

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// The number of its partitions.
    pub partitions: u32,
    /// The largest record that it takes, in bytes, its headers among them; `None`: what the
    /// broker takes anyway. Of a topic that exists already it is not checked.
    pub record_bytes: Option<u32>,
}

impl From<&slipway_proto::events::Topic> for TopicSpec {
    fn from(topic: &slipway_proto::events::Topic) -> Self {
        Self {
            name: topic.name.to_owned(),
            partitions: topic.partitions,
            record_bytes: None,
        }
    }
}

/// The bus did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// The broker cannot be reached or did not answer in time.
    #[error("the bus is unavailable: {0}")]
    Unavailable(String),
    /// The request itself is wrong: no such topic, another number of partitions.
    #[error("{0}")]
    Refused(String),
    /// A record is larger than its topic takes. It never will.
    #[error("a record is too large for its topic: {0}")]
    TooLarge(String),
}

impl BusError {
    /// Whether it comes and goes: what was asked for may succeed when it is asked again.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A bus that can be shared.
pub type SharedBus = Arc<dyn Bus>;

/// The port.
#[async_trait]
pub trait Bus: Check {
    /// Creates the topics that do not exist.
    ///
    /// # Errors
    /// If one exists with another number of partitions, or the bus is away.
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError>;

    /// The names of all topics there are, sorted.
    ///
    /// # Errors
    /// If the bus is away.
    async fn topics(&self) -> Result<Vec<String>, BusError>;

    /// Publishes records, in order, and answers when all of them are durable, or says of
    /// each what became of it. Behind one that failed, none of its topic and key is
    /// published before it: whoever publishes the failed ones again, in order, keeps order.
    ///
    /// # Errors
    /// If a topic does not exist or does not take a record of that size, or the bus is away.
    async fn publish(&self, records: Vec<Record>) -> Result<(), Unpublished>;

    /// Joins a consumer group. The members of a group share the partitions of `topics`;
    /// each group gets every record. A new group begins with the oldest record kept.
    ///
    /// # Errors
    /// If a topic does not exist, or the bus is away.
    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<Box<dyn Subscription>, BusError>;
}

/// One member of a consumer group. Leaves the group when dropped.
#[async_trait]
pub trait Subscription: Send {
    /// The next records, at least one and at most `max`, in order within a partition.
    /// Waits until there are some. Safe to drop while waiting.
    ///
    /// # Errors
    /// If the bus is away.
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError>;

    /// Records that everything up to and including these deliveries is done: after a
    /// restart the group goes on behind them. Deliveries of partitions that another
    /// member has taken over are passed over.
    ///
    /// # Errors
    /// If the bus is away; the records will be delivered again.
    async fn commit(&mut self, done: &[Delivery]) -> Result<(), BusError>;

    /// Leaves the group and waits, for a moment at most, until the other members can
    /// take over.
    async fn leave(self: Box<Self>) {}
}
