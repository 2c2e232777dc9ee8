//! The thread behind a member.
//!
//! It polls the library all the time, also while a batch is being handled or waits for a
//! database that is away: so heartbeats, rebalances and the library's own limit on the
//! time between polls (`max.poll.interval.ms`) do not depend on how long handling takes.
//! What arrives is kept in a bounded buffer; when that is full the partitions are
//! paused, and the polling goes on.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode as Code},
};
use tokio_util::sync::CancellationToken;

use super::{
    assignment::{Partition, Waiting},
    bus_error, context,
    member::{Shared, commit},
    record,
};

/// With so many records or bytes waiting, nothing more is fetched …
const PAUSE_AT: Waiting = Waiting {
    records: 2000,
    bytes: 16 * 1024 * 1024,
};
/// … until there are only so many.
const RESUME_AT: Waiting = Waiting {
    records: 500,
    bytes: 4 * 1024 * 1024,
};

/// How soon the thread sees that the buffer has room again, or that it is to end.
const POLL: Duration = Duration::from_millis(50);

pub(super) type GroupConsumer = BaseConsumer<Context>;

/// What the library calls on the polling thread.
pub(super) struct Context(pub(super) Arc<Shared>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    /// Several a second while the brokers are away: each is judged as what `poll` returns.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions(list);
                tracing::debug!(?partitions, "partitions assigned");
                self.0.state.lock().assignment.assign(partitions);
            }
            Rebalance::Revoke(list) => {
                let partitions = partitions(list);
                tracing::debug!(?partitions, "partitions revoked");
                let _turn = self.0.commits.lock();
                let done = self.0.state.lock().assignment.revoke(&partitions);
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

    /// Polls until told to stop; then leaves the group.
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

    /// The library repairs most of what goes wrong by itself. What it cannot: the
    /// member fails, and its owner joins again.
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

    /// Keeps the buffer bounded. Partitions that are new since the last time are paused
    /// with the others.
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
