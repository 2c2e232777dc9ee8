//! The bus on Apache Kafka, by librdkafka.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`settings`] | what differs from the library's defaults, and why |
//! | [`publisher`] | in order, acknowledged by all replicas in sync |
//! | [`member`] | one member of a consumer group: batches and commits |
//! | [`poller`] | the thread behind it: arrivals, rebalances |
//! | [`assignment`] | which partitions are this member's and how far it is: pure |
//! | [`topics`] | creating and checking topics |
//! | [`record`] | records to messages and back |
//! | [`headers`] | a message's headers, whatever their bytes are |
//!
//! The library does its own input and output on its own threads and connects again by
//! itself. What would block a thread of the runtime runs on a blocking one.

mod assignment;
mod context;
mod headers;
mod member;
mod poller;
mod publisher;
mod record;
mod settings;
#[cfg(test)]
mod tests;
mod topics;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use self::{member::Member, publisher::Publisher, topics::Topics};
use slipway_bus::metrics as m;
use slipway_bus::{Bus, BusError, Record, Security, Subscription, TopicSpec, Unpublished};
use slipway_runtime::life::{Check, Problem};

/// Whether the broker is there is asked often and must be answered soon.
const CHECK_WITHIN: Duration = Duration::from_millis(1500);

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// Some of its brokers, as `host:port,host:port`; they name the others.
    pub brokers: String,
    /// What connections are secured with. Anything but nothing needs the feature
    /// `tls`: the library refuses it otherwise.
    pub security: Security,
    /// Publishing fails when it is not acknowledged within this time.
    pub publish_within: Duration,
    /// A member that is silent for this long has left its group. Brokers accept 6 s to
    /// 30 min.
    pub session_timeout: Duration,
}

impl KafkaConfig {
    /// The cluster that `brokers` belong to.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            security: Security::default(),
            publish_within: Duration::from_secs(10),
            // The least that brokers accept. A restarted broker waits this long for members
            // whose own session has ended meanwhile and who join again under a new name.
            session_timeout: Duration::from_secs(6),
        }
    }
}

/// The adapter. Cheap to clone; the clones share one producer.
#[derive(Clone)]
pub struct KafkaBus(Arc<Inner>);

struct Inner {
    config: KafkaConfig,
    publisher: Publisher,
    topics: Topics,
}

impl KafkaBus {
    /// A client of the cluster. It need not be reachable yet.
    ///
    /// # Errors
    /// If the library refuses the configuration.
    pub fn new(config: KafkaConfig) -> Result<Self, BusError> {
        let topics = Topics::new(&config)?;
        let publisher = Publisher::new(&config)?;
        Ok(Self(Arc::new(Inner {
            config,
            publisher,
            topics,
        })))
    }

    /// Those of `topics` that do not exist. It is asked before every first use: a cluster
    /// that makes unknown topics by itself makes them with a number of partitions of its
    /// own.
    async fn unknown(&self, topics: BTreeSet<&str>) -> Result<BTreeSet<String>, BusError> {
        if self.0.topics.known(&topics) {
            return Ok(BTreeSet::new());
        }
        let topics: Vec<String> = topics.into_iter().map(str::to_owned).collect();
        self.blocking(move |bus| bus.topics.unknown(&topics)).await
    }

    /// Runs what blocks on a thread for that.
    async fn blocking<T, F>(&self, work: F) -> Result<T, BusError>
    where
        T: Send + 'static,
        F: FnOnce(&Inner) -> Result<T, BusError> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        run_blocking(move || work(&inner)).await
    }
}

/// Runs what blocks on a thread for that. It fails if the process is ending.
async fn run_blocking<T, F>(work: F) -> Result<T, BusError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, BusError> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| BusError::Unavailable(error.to_string()))?
}

#[async_trait]
impl Bus for KafkaBus {
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        let topics = topics.to_vec();
        self.blocking(move |bus| bus.topics.create(&topics)).await
    }

    async fn topics(&self) -> Result<Vec<String>, BusError> {
        self.blocking(|bus| bus.topics.names()).await
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), Unpublished> {
        let topics = records.iter().map(|record| &*record.topic).collect();
        let unknown = self.unknown(topics).await;
        let unknown = unknown.map_err(|error| Unpublished::all(records.len(), error))?;
        let outcomes = self.0.publisher.publish(&records, &unknown).await;
        for (record, outcome) in records.into_iter().zip(&outcomes) {
            if outcome.is_ok() {
                metrics::counter!(m::EVENTS_PUBLISHED, "topic" => record.topic).increment(1);
            }
        }
        if outcomes.iter().any(Result::is_err) {
            // Perhaps a topic has been deleted: ask again next time.
            self.0.topics.forget();
        }
        Unpublished::unless_all(outcomes)
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<Box<dyn Subscription>, BusError> {
        let names = topics.iter().map(String::as_str).collect();
        if let Some(unknown) = self.unknown(names).await?.first() {
            return Err(no_topic(unknown));
        }
        Ok(Box::new(Member::join(&self.0.config, group, topics)?))
    }
}

#[async_trait]
impl Check for KafkaBus {
    async fn check(&self) -> Result<(), Problem> {
        self.blocking(|bus| bus.topics.ask(CHECK_WITHIN).map(drop))
            .await
            .map_err(|error| Problem::Away(error.to_string()))
    }
}

fn no_topic(name: &str) -> BusError {
    BusError::Refused(format!("there is no topic {name}"))
}

/// What an error of the library means to whoever uses the bus.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn bus_error(error: KafkaError) -> BusError {
    use BusError as E;
    match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge) => {
            E::TooLarge(error.to_string())
        }
        Some(
            Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownPartition
            | Code::InvalidTopic
            | Code::InvalidPartitions
            | Code::InvalidReplicationFactor
            | Code::InvalidConfig
            | Code::InvalidArgument
            | Code::PolicyViolation
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed,
        ) => E::Refused(error.to_string()),
        _ => match error {
            KafkaError::ClientConfig(..) | KafkaError::Nul(_) => E::Refused(error.to_string()),
            _ => E::Unavailable(error.to_string()),
        },
    }
}
