//! The event bus between services, with at-least-once delivery.
//!
//! A small port ([`Bus`], [`Subscription`]) with adapters: [`embedded`] is a durable log in an
//! SQLite file; the Apache Kafka client is a separate crate. [`event`] defines the envelope around
//! a payload. [`consumer`] implements consumption (commit after the effect, retries, dead letters)
//! in the same way for every adapter.

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
    /// The topic it is published on.
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
    /// Its offset in the partition, from 0.
    pub offset: u64,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// The number of its partitions.
    pub partitions: u32,
    /// The largest record that the topic accepts, in bytes, including its headers; `None`: the
    /// broker's default. Not checked for a topic that exists already.
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

/// A request to the bus failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// The broker cannot be reached or did not answer in time.
    #[error("the bus is unavailable: {0}")]
    Unavailable(String),
    /// The request itself is wrong: no such topic, another number of partitions.
    #[error("{0}")]
    Refused(String),
    /// A record is larger than its topic accepts. Another try fails in the same way.
    #[error("a record is too large for its topic: {0}")]
    TooLarge(String),
}

impl BusError {
    /// Whether the error is temporary: the same request may succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A bus that can be shared between tasks.
pub type SharedBus = Arc<dyn Bus>;

/// The port that each adapter implements.
#[async_trait]
pub trait Bus: Check {
    /// Creates the topics that do not exist.
    ///
    /// # Errors
    /// If one exists with another number of partitions, or the bus is unavailable.
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError>;

    /// The names of all existing topics, sorted.
    ///
    /// # Errors
    /// If the bus is unavailable.
    async fn topics(&self) -> Result<Vec<String>, BusError>;

    /// Publishes records in order and returns when all of them are durable; otherwise returns the
    /// outcome of each record. After a record fails, no later record of its topic and key is
    /// published. A caller that publishes the failed records again, in order, therefore keeps their
    /// order.
    ///
    /// # Errors
    /// If a topic does not exist or does not accept a record of that size, or the bus is
    /// unavailable.
    async fn publish(&self, records: Vec<Record>) -> Result<(), Unpublished>;

    /// Joins a consumer group. The members of a group share the partitions of `topics`; each group
    /// gets every record. A new group begins with the oldest retained record.
    ///
    /// # Errors
    /// If a topic does not exist, or the bus is unavailable.
    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<Box<dyn Subscription>, BusError>;
}

/// One member of a consumer group. Leaves the group when dropped.
#[async_trait]
pub trait Subscription: Send {
    /// Returns the next records, at least one and at most `max`, in order within a partition. Waits
    /// until there are some. The future can be dropped without losing records.
    ///
    /// # Errors
    /// If the bus is unavailable.
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError>;

    /// Commits the offsets of these deliveries: after a restart the group continues after them.
    /// Ignores deliveries of partitions that now belong to another member.
    ///
    /// # Errors
    /// If the bus is unavailable; the records will be delivered again.
    async fn commit(&mut self, done: &[Delivery]) -> Result<(), BusError>;

    /// Leaves the group and waits briefly until the other members can take over the partitions.
    async fn leave(self: Box<Self>) {}
}
