//! Topics: created with the partitions that are asked for, and checked. Everything here
//! blocks.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    thread,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::FromClientConfigAndContext as _,
    error::{KafkaError, RDKafkaErrorCode},
    metadata::Metadata,
    producer::{FutureProducer, Producer as _},
};

use super::{KafkaConfig, bus_error, context::Watch, settings};
use slipway_bus::{BusError, TopicSpec};

/// The longest wait for the cluster's answer.
const WITHIN: Duration = Duration::from_secs(5);

/// New topics are on every broker after some milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Records are kept for seven days.
const RETENTION_MS: &str = "604800000";

/// From this many brokers on there are three replicas of which two must be in sync.
const REPLICATED_FROM: usize = 3;

pub(super) struct Topics {
    settings: ClientConfig,
    /// Publishes nothing. Of the library's clients, it is one that looks after its log
    /// and errors all the time; the one for creating topics does not.
    client: FutureProducer<Watch>,
    watch: Watch,
    known: Mutex<HashSet<String>>,
}

impl Topics {
    pub(super) fn new(config: &KafkaConfig) -> Result<Self, BusError> {
        let (settings, watch) = (settings::client(config), Watch::default());
        Ok(Self {
            client: FutureProducer::from_config_and_context(&settings, watch.clone())
                .map_err(bus_error)?,
            watch,
            settings,
            known: Mutex::default(),
        })
    }

    /// The cluster's brokers and topics.
    pub(super) fn ask(&self, within: Duration) -> Result<Metadata, BusError> {
        match self.client.client().fetch_metadata(None, within) {
            Ok(metadata) => {
                self.watch.all_is_well();
                Ok(metadata)
            }
            Err(error) => Err(self.watch.explain(error)),
        }
    }

    /// The names of all topics, sorted.
    pub(super) fn names(&self) -> Result<Vec<String>, BusError> {
        let mut names: Vec<_> = partitions(&self.ask(WITHIN)?).into_keys().collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Whether all of them have been seen.
    pub(super) fn known(&self, topics: &BTreeSet<&str>) -> bool {
        let known = self.known.lock();
        topics.iter().all(|topic| known.contains(*topic))
    }

    /// Forgets what has been seen.
    pub(super) fn forget(&self) {
        self.known.lock().clear();
    }

    /// Those that do not exist.
    pub(super) fn unknown(&self, topics: &[String]) -> Result<BTreeSet<String>, BusError> {
        let there = partitions(&self.ask(WITHIN)?);
        let unknown = topics.iter().filter(|topic| !there.contains_key(*topic));
        let unknown = unknown.cloned().collect();
        self.known.lock().extend(there.into_keys());
        Ok(unknown)
    }

    /// Creates what does not exist, and waits until the cluster shows it.
    pub(super) fn create(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        let metadata = self.ask(WITHIN)?;
        let mut missing = missing(&metadata, topics)?;
        if missing.is_empty() {
            return Ok(());
        }
        self.create_missing(&missing, metadata.brokers().len())?;
        let deadline = Instant::now() + WITHIN;
        while !missing.is_empty() {
            if Instant::now() > deadline {
                let text = format!("topic {} does not appear", missing[0].name);
                return Err(BusError::Unavailable(text));
            }
            thread::sleep(LOOK_EVERY);
            missing = self::missing(&self.ask(WITHIN)?, topics)?;
        }
        Ok(())
    }

    fn create_missing(&self, missing: &[&TopicSpec], brokers: usize) -> Result<(), BusError> {
        let (replicas, in_sync) = if brokers >= REPLICATED_FROM {
            (3, "2")
        } else {
            (1, "1")
        };
        let largest: Vec<_> = missing
            .iter()
            .map(|topic| topic.record_bytes.map(|bytes| bytes.to_string()))
            .collect();
        let new: Vec<_> = missing
            .iter()
            .zip(&largest)
            .map(|(topic, largest)| {
                let new =
                    NewTopic::new(&topic.name, count(topic), TopicReplication::Fixed(replicas))
                        .set("min.insync.replicas", in_sync)
                        .set("retention.ms", RETENTION_MS);
                match largest {
                    Some(bytes) => new.set("max.message.bytes", bytes),
                    None => new,
                }
            })
            .collect();
        let options = AdminOptions::new()
            .request_timeout(Some(WITHIN))
            .operation_timeout(Some(WITHIN));
        let admin: AdminClient<_> = self.settings.create().map_err(bus_error)?;
        let created = block_on(admin.create_topics(&new, &options)).map_err(bus_error)?;
        for created in created {
            match created {
                Ok(topic) => tracing::info!(topic, replicas, "topic created"),
                // Another process was faster; whether it made the same is checked next.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, error)) => {
                    let text = format!("topic {topic} cannot be created: {error}");
                    return Err(match bus_error(KafkaError::AdminOp(error)) {
                        BusError::Refused(_) => BusError::Refused(text),
                        _ => BusError::Unavailable(text),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Those of `topics` that do not exist.
///
/// # Errors
/// If one exists with another number of partitions.
pub(super) fn missing<'a>(
    metadata: &Metadata,
    topics: &'a [TopicSpec],
) -> Result<Vec<&'a TopicSpec>, BusError> {
    let there = partitions(metadata);
    let mut missing = Vec::new();
    for topic in topics {
        match there.get(&topic.name) {
            None => missing.push(topic),
            Some(exists) if *exists != topic.partitions as usize => {
                return Err(BusError::Refused(format!(
                    "topic {} has {exists} partitions, not {}",
                    topic.name, topic.partitions
                )));
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}

/// The topics that exist, with the numbers of their partitions.
fn partitions(metadata: &Metadata) -> HashMap<String, usize> {
    metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none() && !topic.partitions().is_empty())
        .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
        .collect()
}

pub(super) fn count(topic: &TopicSpec) -> i32 {
    i32::try_from(topic.partitions).unwrap_or(i32::MAX)
}
