//! Reads Slipway's topics as another program would: with its own Kafka consumer, which shares no
//! code with the producer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    message::{BorrowedMessage, Headers as _},
};
use serde_json::Value;
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::until;

/// A consumer group.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Its id.
    pub id: &'static str,
    /// The topics it reads, without its own retry topics.
    pub topics: &'static [&'static str],
}

/// The group that writes the activity log.
pub const ACTIVITY: Group = Group {
    id: "activity",
    topics: &["slipway.users", "slipway.releases", "slipway.forum"],
};

/// The group of release-svc, which continues the series of recurring tasks.
pub const RECURRENCE: Group = Group {
    id: "recurrence",
    topics: &["slipway.releases"],
};

/// The groups of notify-svc.
pub const GROUPS: [Group; 6] = [
    ACTIVITY,
    Group {
        id: "audit",
        topics: &[
            "slipway.users",
            "slipway.releases",
            "slipway.forum",
            "slipway.admin",
        ],
    },
    Group {
        id: "notifications",
        topics: &["slipway.releases", "slipway.forum", "slipway.notifications"],
    },
    Group {
        id: "recipients",
        topics: &["slipway.users"],
    },
    Group {
        id: "incidents",
        topics: &["slipway.system"],
    },
    Group {
        id: "statistics",
        topics: &["slipway.chat"],
    },
];

/// Time limit for records to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Time limit for one request to the broker.
const ASK: Duration = Duration::from_secs(10);

/// How often a group's committed offsets are checked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An event on its topic.
#[derive(Debug, Clone)]
pub struct Told {
    /// The topic.
    pub topic: String,
    /// The record's key.
    pub key: String,
    /// The event's id.
    pub id: String,
    /// The event's type.
    pub kind: String,
    /// The event's subject.
    pub subject: String,
    /// When it happened: when the command was decided, before its commit.
    pub happened: SystemTime,
    /// The payload.
    pub payload: Value,
    /// When it was passed to the producer.
    pub produced: SystemTime,
}

/// A client of one broker.
#[derive(Debug, Clone)]
pub struct Topics {
    broker: String,
}

/// An offset for each topic and partition.
type Offsets = BTreeMap<(String, i32), i64>;

impl Topics {
    /// A client of the broker at this address.
    #[must_use]
    pub fn of(broker: &str) -> Self {
        Self {
            broker: broker.to_owned(),
        }
    }

    /// Every record of all of Slipway's topics, including dead letters, from the first to the
    /// current last one; the records of each partition in order.
    ///
    /// # Errors
    /// If the broker does not answer, or a record is not an event.
    pub async fn everything(&self) -> anyhow::Result<Vec<Told>> {
        let consumer = self.consumer("reader")?;
        spawn_blocking(move || read(&consumer)).await?
    }

    /// Returns each record from now on, with the time it was received.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn follow(&self) -> anyhow::Result<mpsc::UnboundedReceiver<(Told, SystemTime)>> {
        let consumer = self.consumer("follower")?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let consumer = spawn_blocking(move || -> anyhow::Result<_> {
            assign(&consumer, &ends(&consumer)?)?;
            Ok(consumer)
        })
        .await??;
        std::thread::spawn(move || {
            while !sender.is_closed() {
                let Some(Ok(message)) = consumer.poll(LOOK_EVERY) else {
                    continue;
                };
                let now = SystemTime::now();
                if let Ok(event) = parse(&message) {
                    // The receiver may be closed: then this thread ends.
                    let _ = sender.send((event, now));
                }
            }
        });
        Ok(receiver)
    }

    /// Waits until a group has committed everything on its topics.
    ///
    /// # Errors
    /// If it does not.
    pub async fn consumed_by(&self, group: Group) -> anyhow::Result<()> {
        let consumer = self.consumer(group.id)?;
        spawn_blocking(move || {
            let deadline = Instant::now() + TIMEOUT;
            loop {
                let ends = ends_for(group, &consumer)?;
                let committed = committed(&consumer, &ends)?;
                if ends
                    .iter()
                    .all(|(partition, end)| committed[partition] >= *end)
                {
                    return Ok(());
                }
                ensure!(
                    Instant::now() < deadline,
                    "{committed:?} of {ends:?} is committed"
                );
                std::thread::sleep(LOOK_EVERY);
            }
        })
        .await?
    }

    /// Resets a group to the first record, as if each of its members, which must all have been
    /// killed, had died after the effect and before the commit. Returns the number of records.
    /// Waits until the broker has removed the last member.
    ///
    /// # Errors
    /// If the broker refuses.
    pub async fn forget(&self, group: Group) -> anyhow::Result<i64> {
        until(async || {
            let consumer = self.consumer(group.id)?;
            spawn_blocking(move || {
                let ends = ends_for(group, &consumer)?;
                let mut list = TopicPartitionList::new();
                for (topic, partition) in ends.keys() {
                    list.add_partition_offset(topic, *partition, Offset::Offset(0))?;
                }
                consumer.commit(&list, CommitMode::Sync)?;
                Ok(ends.values().sum())
            })
            .await?
        })
        .await
    }

    fn consumer(&self, group: &str) -> anyhow::Result<BaseConsumer> {
        Ok(ClientConfig::new()
            .set("bootstrap.servers", &self.broker)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .create()?)
    }
}

/// The end offset of each partition of Slipway's topics.
fn ends(consumer: &BaseConsumer) -> anyhow::Result<Offsets> {
    let metadata = consumer.fetch_metadata(None, ASK)?;
    let mut ends = Offsets::new();
    for topic in metadata.topics() {
        if topic.name().starts_with("slipway.") {
            for partition in topic.partitions() {
                let (_, end) = consumer.fetch_watermarks(topic.name(), partition.id(), ASK)?;
                ends.insert((topic.name().to_owned(), partition.id()), end);
            }
        }
    }
    Ok(ends)
}

/// The end offsets of the partitions that a group reads.
fn ends_for(group: Group, consumer: &BaseConsumer) -> anyhow::Result<Offsets> {
    let mut ends = ends(consumer)?;
    ends.retain(|(topic, _), _| group.topics.contains(&topic.as_str()));
    Ok(ends)
}

fn committed(consumer: &BaseConsumer, ends: &Offsets) -> anyhow::Result<Offsets> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in ends.keys() {
        list.add_partition(topic, *partition);
    }
    let committed = consumer.committed_offsets(list, ASK)?;
    let offset = |offset: Offset| offset.to_raw().unwrap_or_default().max(0);
    let committed = committed.elements().into_iter().map(|element| {
        let partition = (element.topic().to_owned(), element.partition());
        (partition, offset(element.offset()))
    });
    Ok(committed.collect())
}

fn assign(consumer: &BaseConsumer, from: &Offsets) -> anyhow::Result<()> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in from {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    Ok(consumer.assign(&list)?)
}

/// Reads the records that exist at the start; later ones may be missing.
fn read(consumer: &BaseConsumer) -> anyhow::Result<Vec<Told>> {
    let mut unread = ends(consumer)?;
    unread.retain(|_, end| *end > 0);
    let begin = unread.keys().map(|partition| (partition.clone(), 0));
    assign(consumer, &begin.collect())?;
    let deadline = Instant::now() + TIMEOUT;
    let mut all = Vec::new();
    while !unread.is_empty() {
        ensure!(Instant::now() < deadline, "{unread:?} are not read");
        let Some(message) = consumer.poll(LOOK_EVERY) else {
            continue;
        };
        let message = message.context("the topics cannot be read")?;
        let partition = (message.topic().to_owned(), message.partition());
        let Some(end) = unread.get(&partition) else {
            continue;
        };
        if message.offset() + 1 >= *end {
            unread.remove(&partition);
        }
        all.push(parse(&message)?);
    }
    Ok(all)
}

fn parse(message: &BorrowedMessage<'_>) -> anyhow::Result<Told> {
    let headers = message.headers().context("an event has headers")?;
    let header = |name: &str| -> anyhow::Result<String> {
        let found = headers.iter().find(|header| header.key == name);
        let value = found
            .and_then(|header| header.value)
            .with_context(|| name.to_owned())?;
        Ok(String::from_utf8(value.to_vec())?)
    };
    let produced = message
        .timestamp()
        .to_millis()
        .context("a record has a time")?;
    Ok(Told {
        topic: message.topic().to_owned(),
        key: String::from_utf8(message.key().unwrap_or_default().to_vec())?,
        id: header("ce_id")?,
        kind: header("ce_type")?,
        subject: header("ce_subject")?,
        happened: header("ce_time")?.parse::<Timestamp>()?.into(),
        payload: serde_json::from_slice(message.payload().unwrap_or_default())?,
        produced: SystemTime::UNIX_EPOCH + Duration::from_millis(produced.unsigned_abs()),
    })
}
