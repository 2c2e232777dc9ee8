//! The polling thread of a member.
//!
//! It polls the library continuously, also while a batch is being handled or waits for a database
//! that is unavailable. So heartbeats, rebalances and the library's limit on the time between polls
//! (`max.poll.interval.ms`) do not depend on how long handling takes. Received records are kept in
//! a bounded buffer; when it is full, the partitions are paused and polling continues.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode as Code},
    statistics::{self, Statistics},
};
use slipway_bus::metrics as m;
use tokio_util::sync::CancellationToken;

use super::{
    assignment::{Partition, Waiting},
    bus_error, context,
    member::{Shared, commit},
    record,
};

/// At this many buffered records or bytes, fetching is paused …
const PAUSE_AT: Waiting = Waiting {
    records: 2000,
    bytes: 16 * 1024 * 1024,
};
/// … until there are only this many.
const RESUME_AT: Waiting = Waiting {
    records: 500,
    bytes: 4 * 1024 * 1024,
};

/// How soon the thread notices that the buffer has room again, or that it must end.
const POLL: Duration = Duration::from_millis(50);

pub(super) type GroupConsumer = BaseConsumer<Context>;

/// The callbacks of the library on the polling thread.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) group: String,
    pub(super) topics: Vec<String>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    /// Several per second while the brokers are unreachable. Each is also returned by `poll` and
    /// judged there.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }

    /// Records how far this member is behind, on each topic.
    fn stats(&self, statistics: Statistics) {
        let state = self.shared.state.lock();
        for name in &self.topics {
            let partitions = statistics.topics.get(name).map(|topic| &topic.partitions);
            let lag = partitions.into_iter().flatten();
            let lag = lag.map(|(number, partition)| {
                match state.assignment.owns(name, number.unsigned_abs()) {
                    true => behind(partition),
                    false => 0,
                }
            });
            m::lag(&self.group, name, lag.sum());
        }
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions(list);
                tracing::debug!(?partitions, "partitions assigned");
                self.shared.state.lock().assignment.assign(partitions);
            }
            Rebalance::Revoke(list) => {
                let partitions = partitions(list);
                tracing::debug!(?partitions, "partitions revoked");
                let _turn = self.shared.commits.lock();
                let done = self.shared.state.lock().assignment.revoke(&partitions);
                if consumer.assignment_lost() {
                    return;
                }
                if let Err(error) = commit(consumer, &done) {
                    tracing::debug!(%error, "offsets not committed before the partitions were revoked; the next member will handle the batch again");
                }
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}

/// How many records of a partition the group has not committed; 0 until the broker has said.
fn behind(partition: &statistics::Partition) -> u64 {
    // A negative offset is unknown. A new group begins with the oldest record.
    let committed = match partition.committed_offset {
        ..0 => partition.lo_offset,
        committed => committed,
    };
    let is_known = committed >= 0 && partition.hi_offset >= 0;
    let behind = is_known.then(|| partition.hi_offset - committed);
    behind.map_or(0, |behind| u64::try_from(behind).unwrap_or_default())
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements()
        .iter()
        .map(|element| Partition {
            topic: element.topic().to_owned(),
            number: element.partition().unsigned_abs(),
        })
        .collect()
}

/// The polling thread.
pub(super) struct Poller {
    shared: Arc<Shared>,
    consumer: Arc<GroupConsumer>,
    stop: CancellationToken,
    paused: bool,
}

impl Poller {
    pub(super) fn new(
        shared: Arc<Shared>,
        consumer: Arc<GroupConsumer>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            shared,
            consumer,
            stop,
            paused: false,
        }
    }

    /// Polls until it is stopped; then leaves the group.
    pub(super) fn run(mut self) {
        while !self.stop.is_cancelled() {
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    let delivery = record::from_message(&message);
                    self.shared.state.lock().assignment.push(delivery);
                    self.shared.arrived.notify_one();
                }
                Some(Err(error)) => self.judge(error),
            }
            self.regulate();
        }
    }

    /// Judges an error. The library recovers from most errors by itself. From others it cannot:
    /// then the member fails, and its owner rejoins.
    fn judge(&self, error: KafkaError) {
        let refused = matches!(
            error.rdkafka_error_code(),
            Some(
                Code::UnknownTopicOrPartition
                    | Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
            )
        );
        if refused || matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            self.shared.fail(bus_error(error));
        } else {
            tracing::debug!(%error, "librdkafka recovers from this error by itself");
        }
    }

    /// Pauses or resumes the partitions to keep the buffer bounded. New partitions are paused with
    /// the others.
    fn regulate(&mut self) {
        let waiting = self.shared.state.lock().assignment.waiting();
        let pause = waiting.records >= PAUSE_AT.records || waiting.bytes >= PAUSE_AT.bytes;
        let few = waiting.records <= RESUME_AT.records && waiting.bytes <= RESUME_AT.bytes;
        let resume = self.paused && few;
        if !pause && !resume {
            return;
        }
        let changed = self.consumer.assignment().and_then(|assigned| {
            if pause {
                self.consumer.pause(&assigned)
            } else {
                self.consumer.resume(&assigned)
            }
        });
        match changed {
            Ok(()) => self.paused = pause,
            Err(error) => tracing::warn!(%error, "failed to pause or resume partitions"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_behind_by_what_is_retained_and_not_committed() {
        let partition = |lo_offset, committed_offset, hi_offset| statistics::Partition {
            lo_offset,
            committed_offset,
            hi_offset,
            ..statistics::Partition::default()
        };
        const UNKNOWN: i64 = -1001;
        for (partition, expected) in [
            (partition(3, 7, 10), 3),
            (partition(3, 10, 10), 0),
            (partition(3, UNKNOWN, 10), 7),
            (partition(UNKNOWN, UNKNOWN, 10), 0),
            (partition(UNKNOWN, UNKNOWN, UNKNOWN), 0),
            // The committed offset is newer than the last answer of the broker.
            (partition(3, 11, 10), 0),
        ] {
            assert_eq!(behind(&partition), expected, "{partition:?}");
        }
    }
}
