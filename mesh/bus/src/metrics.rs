//! This crate's metrics: events and consumer groups.

use std::collections::BTreeMap;

use metrics::{counter, gauge, histogram};
use slipway_proto::events::EventType;

use crate::{
    Record, TopicSpec,
    consumer::{Group, envelope::Cause},
    event,
};

slipway_runtime::metrics! {
    pub fn describe;
    counter EVENTS_PUBLISHED {topic, type} = "slipway_events_published_total",
        "Records acknowledged by the bus, by topic and type of event (`other` if this version does \
         not know it). An event that is retried or becomes a dead letter is published again, on a \
         topic of its group";
    counter EVENTS_CONSUMED {group, topic} = "slipway_events_consumed_total",
        "Events whose effect is stored, by group and topic";
    counter EVENTS_RETRIED {group} = "slipway_events_retried_total",
        "Retries of batches after a transient failure, by group";
    counter EVENTS_DEFERRED {group, tier} = "slipway_events_deferred_total",
        "Events sent to a retry topic, by group and tier";
    counter EVENTS_DEAD {group, topic, cause} = "slipway_events_dead_lettered_total",
        "Events that became dead letters, by group, topic and cause";
    gauge CONSUMER_LAG {group, topic} = "slipway_consumer_lag",
        "Records that a group has not committed yet, by group and topic, measured every 5 s. Of the \
         partitions that this process has: take the sum over replicas";
    gauge CONSUMER_HELD_SECONDS {group} = "slipway_consumer_held_seconds",
        "Seconds for which the current batch has been retried, by group; 0 if none is";
    histogram EVENT_LAG_SECONDS {group} = "slipway_event_lag_seconds",
        "Time from an event to its stored effect, by group";
}

/// The label of types that this version does not know: there may be any number of them.
const OTHER_TYPE: &str = "other";

/// Begins the metrics of publications on these topics at zero.
pub fn begin(topics: &[TopicSpec]) {
    for kind in EventType::ALL {
        let topic = kind.topic().name;
        if topics.iter().any(|owned| owned.name == topic) {
            counter!(EVENTS_PUBLISHED, "topic" => topic, "type" => kind.name()).increment(0);
        }
    }
}

/// Begins the metrics of a consumer group at zero.
pub(crate) fn begin_group(group: &Group) {
    let name = group.name;
    counter!(EVENTS_RETRIED, "group" => name).increment(0);
    gauge!(CONSUMER_HELD_SECONDS, "group" => name).increment(0);
    drop(histogram!(EVENT_LAG_SECONDS, "group" => name));
    for topic in &group.topics {
        counter!(EVENTS_CONSUMED, "group" => name, "topic" => topic.clone()).increment(0);
        for cause in Cause::ALL {
            let (topic, cause) = (topic.clone(), cause.as_str());
            counter!(EVENTS_DEAD, "group" => name, "topic" => topic, "cause" => cause).increment(0);
        }
    }
}

/// Counts records that the bus has acknowledged.
pub fn published<'a>(records: impl IntoIterator<Item = &'a Record>) {
    let mut counts: BTreeMap<(&str, &'static str), u64> = BTreeMap::new();
    for record in records {
        let known = record.header(event::TYPE).and_then(EventType::named);
        let kind = known.map_or(OTHER_TYPE, EventType::name);
        *counts.entry((record.topic.as_str(), kind)).or_default() += 1;
    }
    for ((topic, kind), count) in counts {
        counter!(EVENTS_PUBLISHED, "topic" => topic.to_owned(), "type" => kind).increment(count);
    }
}

/// Records how many records a group has not committed yet.
pub fn lag(group: &str, topic: &str, records: u64) {
    let (group, topic) = (group.to_owned(), topic.to_owned());
    gauge!(CONSUMER_LAG, "group" => group, "topic" => topic).set(records as f64);
}
