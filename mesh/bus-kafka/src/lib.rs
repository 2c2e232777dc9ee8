//! The bus on Apache Kafka, through librdkafka.
//!
//! | module | content |
//! | --- | --- |
//! | [`settings`] | what differs from the library's defaults, and why |
//! | [`publisher`] | publishing in order, acknowledged by all in-sync replicas |
//! | [`member`] | one member of a consumer group: batches and commits |
//! | [`poller`] | the thread behind a member: received records, rebalances |
//! | [`assignment`] | the partitions of a member and its progress: pure |
//! | [`topics`] | creating and checking topics |
//! | [`record`] | conversion between records and messages |
//! | [`headers`] | a message's headers, even if they are not UTF-8 |
//!
//! The library does its network I/O on its own threads and reconnects by itself. Calls that block
//! run on a blocking thread of the runtime.

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
use tokio::{sync::Mutex, time::Instant};

use self::{member::Member, publisher::Publisher, topics::Topics};
use slipway_bus::metrics as m;
use slipway_bus::{Bus, BusError, Record, Security, Subscription, TopicSpec, Unpublished};
use slipway_runtime::life::{Check, Problem};

/// Timeout of a health check, which is frequent and must be answered soon.
const CHECK_WITHIN: Duration = Duration::from_millis(1500);

/// How long a health check that succeeded holds: several parts of a process check the bus, and each
/// answer of the cluster lists all topics.
const CHECK_HOLDS: Duration = Duration::from_secs(1);

/// How to connect to a cluster.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// Some of its brokers, as `host:port,host:port`; the others are discovered.
    pub brokers: String,
    /// How connections are secured. Any setting other than none needs the feature `tls`: otherwise
    /// the library refuses it.
    pub security: Security,
    /// Publishing fails if it is not acknowledged within this time.
    pub publish_within: Duration,
    /// A member that is silent for this long is removed from its group. Brokers accept 6 s to 30
    /// min.
    pub session_timeout: Duration,
}

impl KafkaConfig {
    /// The configuration for the cluster of `brokers`.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            security: Security::default(),
            publish_within: Duration::from_secs(10),
            // The minimum that brokers accept. A restarted broker waits this long for members whose
            // own session has ended in the meantime and who join again under a new name.
            session_timeout: Duration::from_secs(6),
        }
    }
}

/// The adapter. Cheap to clone; all clones share one producer.
#[derive(Clone)]
pub struct KafkaBus(Arc<Inner>);

struct Inner {
    config: KafkaConfig,
    publisher: Publisher,
    topics: Topics,
    /// When the last health check ended, and its result.
    checked: Mutex<Option<(Instant, Result<(), Problem>)>>,
}

impl KafkaBus {
    /// Creates a client of the cluster, which need not be reachable yet.
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
            checked: Mutex::default(),
        })))
    }

    /// The topics among `topics` that do not exist. They are looked up before each first use: a
    /// cluster that creates unknown topics automatically would use its own number of partitions.
    async fn unknown(&self, topics: BTreeSet<&str>) -> Result<BTreeSet<String>, BusError> {
        if self.0.topics.known(&topics) {
            return Ok(BTreeSet::new());
        }
        let topics: Vec<String> = topics.into_iter().map(str::to_owned).collect();
        self.blocking(move |bus| bus.topics.unknown(&topics)).await
    }

    /// Runs blocking work on a blocking thread.
    async fn blocking<T, F>(&self, work: F) -> Result<T, BusError>
    where
        T: Send + 'static,
        F: FnOnce(&Inner) -> Result<T, BusError> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        run_blocking(move || work(&inner)).await
    }
}

/// Runs blocking work on a blocking thread. Fails if the process is ending.
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
        let published = records.iter().zip(&outcomes);
        let published = published.filter(|(_, outcome)| outcome.is_ok());
        m::published(published.map(|(record, _)| record));
        if outcomes.iter().any(Result::is_err) {
            // A topic may have been deleted: look it up again next time.
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
        let began = Instant::now();
        let mut checked = self.0.checked.lock().await;
        if let Some((at, result)) = &*checked {
            // A failure holds only for those who have waited for it.
            let holds = result.as_ref().map_or(Duration::ZERO, |()| CHECK_HOLDS);
            if *at + holds >= began {
                return result.clone();
            }
        }
        let asked = self.blocking(|bus| bus.topics.ask(CHECK_WITHIN).map(drop));
        let result = asked.await;
        let result = result.map_err(|error| Problem::Away(error.to_string()));
        *checked = Some((Instant::now(), result.clone()));
        result
    }
}

fn no_topic(name: &str) -> BusError {
    BusError::Refused(format!("there is no topic {name}"))
}

/// Converts an error of the library.
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
