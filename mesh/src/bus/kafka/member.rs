//! One member of a consumer group.
//!
//! A thread of its own polls the library all the time, also while a batch is being
//! handled or waits for a database that is away: so heartbeats, rebalances and the
//! library's own limit on the time between polls (`max.poll.interval.ms`) do not depend
//! on how long handling takes. What arrives is kept in a bounded buffer; when that is
//! full the partitions are paused, and the polling goes on.

use std::{sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::{FromClientConfigAndContext as _, RDKafkaLogLevel},
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code},
};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    KafkaConfig,
    assignment::{Assignment, Offsets, Partition},
    context, record, run_blocking, settings,
};
use crate::bus::{BusError, Delivery, Subscription};

/// With so many records waiting, nothing more is fetched …
const PAUSE_AT: usize = 2000;
/// … until there are only so many.
const RESUME_AT: usize = 500;

/// How soon the thread sees that the buffer has room again, or that it is to end.
const POLL: Duration = Duration::from_millis(50);

/// A commit that meets a rebalance is tried again when that is over.
const COMMIT_TRIES: u32 = 100;
const COMMIT_PAUSE: Duration = Duration::from_millis(100);

/// Leaving is a courtesy to the other members: they notice anyhow, later.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Member {
    shared: Arc<Shared>,
    consumer: Arc<GroupConsumer>,
    stop: CancellationToken,
    /// Fires when the thread has left the group.
    gone: Option<oneshot::Receiver<()>>,
}

type GroupConsumer = BaseConsumer<Context>;

/// What the thread and the member share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Notify,
    /// Held while offsets are committed and while partitions are given up: an offset of
    /// a partition that has become another member's is never committed.
    commits: Mutex<()>,
}

#[derive(Default)]
struct State {
    assignment: Assignment,
    /// Why the member has to join again.
    failure: Option<BusError>,
}

impl Member {
    pub(super) fn join(
        config: &KafkaConfig,
        group: &str,
        topics: &[String],
    ) -> Result<Self, BusError> {
        let shared = Arc::new(Shared::default());
        let context = Context(Arc::clone(&shared));
        let settings = settings::consumer(config, group);
        let consumer = Arc::new(GroupConsumer::from_config_and_context(&settings, context)?);
        consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        let (stop, (left, gone)) = (CancellationToken::new(), oneshot::channel());
        let poller = Poller {
            shared: Arc::clone(&shared),
            consumer: Arc::clone(&consumer),
            stop: stop.clone(),
            paused: false,
        };
        thread::Builder::new()
            .name("kafka-consumer".into())
            .spawn(move || {
                poller.run();
                // Whoever waited may have given up.
                let _ = left.send(());
            })
            .map_err(|error| BusError::Unavailable(error.to_string()))?;
        Ok(Self {
            shared,
            consumer,
            stop,
            gone: Some(gone),
        })
    }
}

#[async_trait]
impl Subscription for Member {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        loop {
            {
                let mut state = self.shared.state.lock();
                let batch = state.assignment.take(max.max(1));
                if !batch.is_empty() {
                    return Ok(batch);
                }
                if let Some(failure) = &state.failure {
                    return Err(failure.clone());
                }
            }
            self.shared.arrived.notified().await;
        }
    }

    async fn commit(&mut self, done: &[Delivery]) -> Result<(), BusError> {
        self.shared.state.lock().assignment.finish(done);
        let (shared, consumer) = (Arc::clone(&self.shared), Arc::clone(&self.consumer));
        run_blocking(move || shared.commit(&consumer)).await
    }

    async fn leave(mut self: Box<Self>) {
        let gone = self.gone.take();
        drop(self);
        if let Some(gone) = gone {
            // Too late or gone without a word: the session's timeout says it then.
            let _ = tokio::time::timeout(LEAVE_WITHIN, gone).await;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    /// Commits what is done. Blocks.
    fn commit(&self, consumer: &GroupConsumer) -> Result<(), BusError> {
        for _ in 0..COMMIT_TRIES {
            {
                let _turn = self.commits.lock();
                let offsets = self.state.lock().assignment.uncommitted();
                match commit(consumer, &offsets) {
                    Ok(()) => {
                        self.state.lock().assignment.committed(&offsets);
                        return Ok(());
                    }
                    Err(error) if rebalancing(&error) => {}
                    Err(error) => return Err(BusError::Unavailable(error.to_string())),
                }
            }
            thread::sleep(COMMIT_PAUSE);
        }
        Err(BusError::Unavailable("the group is rebalancing".into()))
    }

    fn fail(&self, error: BusError) {
        self.state.lock().failure = Some(error);
        self.arrived.notify_one();
    }
}

fn commit(consumer: &GroupConsumer, offsets: &Offsets) -> KafkaResult<()> {
    if offsets.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (Partition { topic, number }, offset) in offsets {
        let offset = i64::try_from(*offset).unwrap_or(i64::MAX);
        list.add_partition_offset(topic, number.cast_signed(), Offset::Offset(offset))?;
    }
    consumer.commit(&list, CommitMode::Sync)
}

/// Whether a commit came at the wrong moment. When the group has settled, either the
/// partition is still this member's or there is nothing left to commit.
fn rebalancing(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::ConsumerCommit(
            Code::RebalanceInProgress | Code::IllegalGeneration | Code::UnknownMemberId
        )
    )
}

/// What the library calls on the polling thread.
struct Context(Arc<Shared>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions(list);
                tracing::debug!(?partitions, "partitions have become this member's");
                self.0.state.lock().assignment.assign(partitions);
            }
            Rebalance::Revoke(list) => {
                let partitions = partitions(list);
                tracing::debug!(?partitions, "partitions are given up");
                let _turn = self.0.commits.lock();
                let done = self.0.state.lock().assignment.revoke(&partitions);
                if consumer.assignment_lost() {
                    return;
                }
                if let Err(error) = commit(consumer, &done) {
                    tracing::debug!(%error, "the next member repeats what is done");
                }
            }
            Rebalance::Error(error) => tracing::warn!(%error, "a rebalance failed"),
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
struct Poller {
    shared: Arc<Shared>,
    consumer: Arc<GroupConsumer>,
    stop: CancellationToken,
    paused: bool,
}

impl Poller {
    /// Polls until told to stop; then leaves the group.
    fn run(mut self) {
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
            self.shared.fail(error.into());
        } else {
            tracing::debug!(%error, "the library goes on by itself");
        }
    }

    /// Keeps the buffer bounded. Partitions that are new since the last time are paused
    /// with the others.
    fn regulate(&mut self) {
        let waiting = self.shared.state.lock().assignment.waiting();
        let pause = waiting >= PAUSE_AT;
        let resume = self.paused && waiting <= RESUME_AT;
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
            Err(error) => tracing::warn!(%error, "partitions could not be paused or resumed"),
        }
    }
}
