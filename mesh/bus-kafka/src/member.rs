//! One member of a consumer group.
//!
//! The thread in [`poller`](super::poller) puts received records into a buffer; the member delivers
//! them and commits the offsets of finished ones.

use std::{panic, sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use rdkafka::{
    Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{CommitMode, Consumer as _},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code},
};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    KafkaConfig,
    assignment::{Assignment, Offsets, Partition},
    bus_error,
    poller::{Context, GroupConsumer, Poller},
    run_blocking, settings,
};
use slipway_bus::{BusError, Delivery, Subscription};
use slipway_runtime::life::panic_text;

/// A commit during a rebalance is retried until the rebalance is over.
const COMMIT_TRIES: u32 = 100;
const COMMIT_PAUSE: Duration = Duration::from_millis(100);

/// Leaving the group lets the other members take over sooner; without it they notice later.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Member {
    shared: Arc<Shared>,
    consumer: Arc<GroupConsumer>,
    stop: CancellationToken,
    /// Completes when the thread has left the group.
    left_group: Option<oneshot::Receiver<()>>,
}

/// State shared by the thread and the member.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) arrived: Notify,
    /// Locked while offsets are committed and while partitions are revoked, so that an offset of a
    /// partition of another member is never committed.
    pub(super) commits: Mutex<()>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) assignment: Assignment,
    /// Why the member must rejoin.
    failure: Option<BusError>,
}

impl Member {
    pub(super) fn join(
        config: &KafkaConfig,
        group: &str,
        topics: &[String],
    ) -> Result<Self, BusError> {
        let shared = Arc::new(Shared::default());
        let context = Context {
            shared: Arc::clone(&shared),
            group: group.to_owned(),
            topics: topics.to_vec(),
        };
        let settings = settings::consumer(config, group);
        let consumer = GroupConsumer::from_config_and_context(&settings, context);
        let consumer = Arc::new(consumer.map_err(bus_error)?);
        let names: Vec<_> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(bus_error)?;
        let (stop, (left, left_group)) = (CancellationToken::new(), oneshot::channel());
        let poller = Poller::new(Arc::clone(&shared), Arc::clone(&consumer), stop.clone());
        let guard = Arc::clone(&shared);
        thread::Builder::new()
            .name("kafka-consumer".into())
            .spawn(move || {
                guard.guard(|| poller.run());
                // The receiver may have timed out.
                let _ = left.send(());
            })
            .map_err(|error| BusError::Unavailable(error.to_string()))?;
        Ok(Self {
            shared,
            consumer,
            stop,
            left_group: Some(left_group),
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
        let left_group = self.left_group.take();
        drop(self);
        if let Some(left_group) = left_group {
            // If this takes too long or fails, the group notices it by the session timeout.
            let _ = tokio::time::timeout(LEAVE_WITHIN, left_group).await;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    /// Commits the offsets of finished records. Blocks.
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

    /// Runs `work`. If it panics, the member must rejoin: otherwise it would never learn that no
    /// more records are received.
    pub(super) fn guard(&self, work: impl FnOnce()) {
        if let Err(panic) = panic::catch_unwind(panic::AssertUnwindSafe(work)) {
            let text = format!("the consumer's thread panicked: {}", panic_text(&*panic));
            tracing::error!("{text}");
            self.fail(BusError::Unavailable(text));
        }
    }

    /// Makes the member rejoin.
    pub(super) fn fail(&self, error: BusError) {
        self.state.lock().failure = Some(error);
        self.arrived.notify_one();
    }
}

/// Commits offsets and waits for the answer.
pub(super) fn commit(consumer: &GroupConsumer, offsets: &Offsets) -> KafkaResult<()> {
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

/// Whether a commit failed because of a rebalance. After the rebalance, either the partition is
/// still assigned to this member or there is nothing left to commit.
fn rebalancing(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::ConsumerCommit(
            Code::RebalanceInProgress | Code::IllegalGeneration | Code::UnknownMemberId
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_member_whose_thread_panics_gets_an_error() {
        let mock = crate::tests::Mock::new();
        mock.cluster().create_topic("t", 1, 1).unwrap();
        let config = KafkaConfig::new(mock.cluster().bootstrap_servers());
        let mut member = Member::join(&config, "g", &["t".to_owned()]).unwrap();
        let shared = Arc::clone(&member.shared);
        thread::spawn(move || shared.guard(|| panic!("a strange record")));
        let failed = member.next(1).await.unwrap_err().to_string();
        assert!(failed.contains("a strange record"), "{failed}");
    }
}
