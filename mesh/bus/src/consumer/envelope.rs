//! The envelope of a record in a retry or dead-letter topic. Headers of its own, next to the
//! original ones, record what has happened to it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Delivery, Record};

/// Why the record is a dead letter, as text.
pub const REASON: &str = "slipway-dead-letter-reason";
/// Why the record is a dead letter: a [`Cause`] as text.
pub const CAUSE: &str = "slipway-dead-letter-cause";
/// The topic that the event was published on.
pub const ORIGIN_TOPIC: &str = "slipway-origin-topic";
/// Its partition in that topic.
pub const ORIGIN_PARTITION: &str = "slipway-origin-partition";
/// Its offset in that partition.
pub const ORIGIN_OFFSET: &str = "slipway-origin-offset";
/// How often it has failed.
pub const ATTEMPTS: &str = "slipway-attempts";
/// When it first failed.
pub const FIRST_FAILURE: &str = "slipway-first-failure";
/// The error of the last failure.
pub const LAST_ERROR: &str = "slipway-last-error";
/// The first failure and the latest ones, as JSON: `[{"at": …, "error": …}, …]`.
pub const HISTORY: &str = "slipway-attempt-history";
/// When it is due for the next try.
pub const DUE: &str = "slipway-retry-due";
/// Id of the replay, if an administrator replayed the dead letter.
pub const REPLAY: &str = "slipway-replay";

const OWN: &[&str] = &[
    REASON,
    CAUSE,
    ORIGIN_TOPIC,
    ORIGIN_PARTITION,
    ORIGIN_OFFSET,
    ATTEMPTS,
    FIRST_FAILURE,
    LAST_ERROR,
    HISTORY,
    DUE,
    REPLAY,
];

/// Maximum characters of an error that are stored: headers are not made for stack traces.
const ERROR_CHARS: usize = 500;

/// Maximum failures that are stored: the first one and the latest ones. An envelope may be replayed
/// many times.
const HISTORY_LENGTH: usize = 20;

/// Why a record became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It is not an event: an attribute is missing, or the payload is not JSON.
    Undecodable,
    /// The handler refused it for good.
    Poison,
    /// The handler panicked on it twice.
    Panic,
    /// It failed after the last retry topic.
    Exhausted,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Undecodable,
        Self::Poison,
        Self::Panic,
        Self::Exhausted,
    ];

    /// The value in the header [`CAUSE`] and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Poison => "poison",
            Self::Panic => "panic",
            Self::Exhausted => "exhausted",
        }
    }
}

/// The dead-letter topic of a group for a topic.
#[must_use]
pub fn dead_letter_topic(topic: &str, group: &str) -> String {
    format!("{topic}.{group}.dlq")
}

/// The `tier`-th retry topic, from 1, of a group for a topic.
#[must_use]
pub fn retry_topic(topic: &str, group: &str, tier: usize) -> String {
    format!("{topic}.{group}.retry.{tier}")
}

/// A failure of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// The error, at most 500 characters of it.
    pub error: String,
}

/// A record as it was published, and what has happened to it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    /// With its original headers and topic.
    pub(super) record: Record,
    pub(super) partition: u32,
    pub(super) offset: u64,
    /// How often it has failed.
    pub(super) attempts: u32,
    pub(super) history: Vec<Attempt>,
    pub(super) replay: Option<String>,
    pub(super) due: Option<Timestamp>,
}

impl Envelope {
    /// From a record of the original topic.
    pub(super) fn new(delivery: &Delivery) -> Self {
        Self {
            record: delivery.record.clone(),
            partition: delivery.partition,
            offset: delivery.offset,
            attempts: 0,
            history: Vec::new(),
            replay: None,
            due: None,
        }
    }

    /// From a record of a retry or dead-letter topic. A header that cannot be parsed counts as
    /// absent, so the record is tried immediately.
    pub(super) fn returned(delivery: &Delivery) -> Self {
        let record = &delivery.record;
        let number = |name| record.header(name).and_then(|text| text.parse().ok());
        let history = record.header(HISTORY).map(serde_json::from_str);
        let history: Vec<_> = history.and_then(Result::ok).unwrap_or_default();
        let mut original = record.clone();
        if let Some(topic) = record.header(ORIGIN_TOPIC) {
            original.topic = topic.to_owned();
        }
        original
            .headers
            .retain(|(name, _)| !OWN.contains(&name.as_str()));
        Self {
            partition: number(ORIGIN_PARTITION).map_or(delivery.partition, |n| n as u32),
            offset: number(ORIGIN_OFFSET).unwrap_or(delivery.offset),
            attempts: number(ATTEMPTS).unwrap_or(history.len() as u64) as u32,
            history,
            replay: record.header(REPLAY).map(str::to_owned),
            due: record.header(DUE).and_then(|text| text.parse().ok()),
            record: original,
        }
    }

    /// When it is due; `None` is immediately.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Records a failure.
    pub(super) fn failed(&mut self, at: Timestamp, error: &str) {
        self.attempts = self.attempts.saturating_add(1);
        let error = shortened(error);
        self.history.push(Attempt { at, error });
        if self.history.len() > HISTORY_LENGTH {
            self.history.remove(1);
        }
    }

    /// The record for a retry topic.
    pub(super) fn retry(&self, group: &str, tier: usize, due: Timestamp) -> Record {
        self.reroute(
            retry_topic(&self.record.topic, group, tier),
            [(DUE, format!("{due:.3}"))],
        )
    }

    /// The record for the first retry topic, due immediately.
    pub(super) fn replayed(&self, group: &str) -> Record {
        self.reroute(retry_topic(&self.record.topic, group, 1), [])
    }

    /// The record for the dead-letter topic.
    pub(super) fn dead(&self, group: &str, cause: Cause, reason: &str) -> Record {
        self.reroute(
            dead_letter_topic(&self.record.topic, group),
            [
                (CAUSE, cause.as_str().to_owned()),
                (REASON, shortened(reason)),
            ],
        )
    }

    fn reroute<const N: usize>(&self, topic: String, own: [(&str, String); N]) -> Record {
        let mut headers = self.record.headers.clone();
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        add(ORIGIN_TOPIC, self.record.topic.clone());
        add(ORIGIN_PARTITION, self.partition.to_string());
        add(ORIGIN_OFFSET, self.offset.to_string());
        add(ATTEMPTS, self.attempts.to_string());
        if let (Some(first), Some(last)) = (self.history.first(), self.history.last()) {
            add(FIRST_FAILURE, format!("{:.3}", first.at));
            add(LAST_ERROR, last.error.clone());
        }
        let history = serde_json::to_string(&self.history);
        add(HISTORY, history.expect("times and texts are JSON"));
        if let Some(replay) = &self.replay {
            add(REPLAY, replay.clone());
        }
        for (name, value) in own {
            add(name, value);
        }
        Record {
            topic,
            headers,
            key: self.record.key.clone(),
            value: self.record.value.clone(),
        }
    }
}

fn shortened(error: &str) -> String {
    error.chars().take(ERROR_CHARS).collect()
}

/// The time that is `wait` after `now`.
pub(super) fn due(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery() -> Delivery {
        Delivery {
            record: crate::testing::stage::record("t", "k", "v"),
            partition: 3,
            offset: 7,
        }
    }

    #[test]
    fn an_envelope_keeps_the_original_record_in_every_topic() {
        let now = Timestamp::UNIX_EPOCH;
        let mut envelope = Envelope::new(&delivery());
        envelope.failed(now, "refused");
        let due = due(now, Duration::from_secs(5));
        let record = envelope.retry("g", 1, due);
        assert_eq!(record.topic, "t.g.retry.1");
        assert_eq!(record.header(ATTEMPTS), Some("1"));
        assert_eq!(record.header(DUE), Some("1970-01-01T00:00:05.000Z"));

        let mut returned = Envelope::returned(&Delivery {
            record,
            partition: 0,
            offset: 0,
        });
        assert_eq!(returned.record, delivery().record);
        assert_eq!(returned.due(), Some(due));
        returned.failed(due, &"x".repeat(2 * ERROR_CHARS));
        let dead = returned.dead("g", Cause::Exhausted, &"too often ".repeat(1000));
        assert_eq!(dead.topic, "t.g.dlq");
        for (name, value) in [
            (ORIGIN_TOPIC, "t"),
            (ORIGIN_PARTITION, "3"),
            (ORIGIN_OFFSET, "7"),
            (ATTEMPTS, "2"),
            (FIRST_FAILURE, "1970-01-01T00:00:00.000Z"),
            (CAUSE, "exhausted"),
        ] {
            assert_eq!(dead.header(name), Some(value), "{name}");
        }
        assert_eq!(dead.header(LAST_ERROR).map(str::len), Some(ERROR_CHARS));
        assert_eq!(dead.header(REASON).map(str::len), Some(ERROR_CHARS));
        assert_eq!(dead.header(DUE), None);
    }

    #[test]
    fn the_history_keeps_the_first_and_latest_failures_and_counts_all() {
        let mut envelope = Envelope::new(&delivery());
        let failures = 3 * HISTORY_LENGTH;
        for failure in 0..failures {
            envelope.failed(Timestamp::UNIX_EPOCH, &failure.to_string());
            let record = envelope.dead("g", Cause::Poison, "never");
            envelope = Envelope::returned(&Delivery {
                record,
                ..delivery()
            });
        }
        let errors: Vec<_> = envelope.history.iter().map(|a| a.error.as_str()).collect();
        assert_eq!(errors.len(), HISTORY_LENGTH);
        assert_eq!((errors[0], errors[1]), ("0", "41"));
        assert_eq!(envelope.attempts as usize, failures);
    }
}
