//! Deletes what has been kept long enough: entries of the activity log, notifications.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_runtime::{clock::SharedClock, life::Background};
use tokio_util::sync::CancellationToken;

use crate::{
    activity::store::ActivityStore, metrics as m, notification::store::NotificationStore,
    store::StoreError,
};

const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// What is deleted in one write at most, so that other writes need not wait long.
const BATCH: usize = 500;

/// Something whose oldest parts can be deleted.
#[async_trait]
pub(crate) trait Aged: Send + Sync + 'static {
    /// What it is called in logs.
    const NAME: &'static str;
    /// Counts what was deleted.
    const PRUNED: &'static str;

    /// Deletes what was stored before `before`, at most `limit`; returns how much.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;
}

#[async_trait]
impl Aged for ActivityStore {
    const NAME: &'static str = "activity-prune";
    const PRUNED: &'static str = m::ENTRIES_PRUNED;

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        ActivityStore::prune(self, before, limit).await
    }
}

#[async_trait]
impl Aged for NotificationStore {
    const NAME: &'static str = "notification-prune";
    const PRUNED: &'static str = m::NOTIFICATIONS_PRUNED;

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        NotificationStore::prune(self, before, limit).await
    }
}

/// Keeps a store within its retention.
pub(crate) struct Retention<S> {
    store: S,
    clock: SharedClock,
    retention: Duration,
}

impl<S: Aged> Retention<S> {
    pub(crate) fn new(store: S, clock: SharedClock, retention: Duration) -> Self {
        Self {
            store,
            clock,
            retention,
        }
    }

    /// Prunes now and every hour, until told to stop.
    pub(crate) fn spawn(self, background: &Background) {
        let pruning = Arc::new(self);
        background.spawn(S::NAME, move |stop| {
            let pruning = Arc::clone(&pruning);
            async move {
                loop {
                    if let Err(error) = pruning.sweep(&stop).await {
                        tracing::warn!(work = S::NAME, %error, "what is old could not be deleted");
                    }
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(PRUNE_EVERY) => {}
                    }
                }
            }
        });
    }

    /// Deletes what is too old, batch by batch.
    async fn sweep(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let now = self.clock.now();
        // A retention that reaches behind the beginning of time keeps everything.
        let before = now.checked_sub(self.retention).unwrap_or(Timestamp::MIN);
        while !stop.is_cancelled() {
            let pruned = self.store.prune(before, BATCH).await?;
            metrics::counter!(S::PRUNED).increment(pruned as u64);
            if pruned < BATCH {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use slipway_runtime::clock::{Clock as _, ManualClock};

    use super::*;
    use crate::activity::store::{Query, tests::log};

    #[tokio::test]
    async fn a_sweep_deletes_everything_that_is_too_old() {
        let dir = tempfile::tempdir().unwrap();
        let documents = crate::store::open(&dir.path().join("notify.db")).unwrap();
        let store = ActivityStore::new(documents);
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let old = log(2 * BATCH as u128 + 7);
        let pruning = Retention::new(store.clone(), clock.clone(), Duration::from_secs(60));
        let stop = CancellationToken::new();
        store.append(old, clock.now()).await.unwrap();
        let ends = || async {
            let page = store.list(&Query::following(0, 1)).await.unwrap();
            (page.oldest, page.newest)
        };

        clock.advance(SignedDuration::from_secs(60));
        pruning.sweep(&stop).await.unwrap();
        assert_eq!(ends().await, (1, 1007), "none is older than the retention");

        clock.advance(SignedDuration::from_secs(1));
        pruning.sweep(&stop).await.unwrap();
        assert_eq!(ends().await, (1007, 1007));
    }

    #[tokio::test]
    async fn an_endless_retention_keeps_everything() {
        let dir = tempfile::tempdir().unwrap();
        let documents = crate::store::open(&dir.path().join("notify.db")).unwrap();
        let store = ActivityStore::new(documents);
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        store.append(log(3), clock.now()).await.unwrap();
        let pruning = Retention::new(store.clone(), clock, Duration::MAX);
        pruning.sweep(&CancellationToken::new()).await.unwrap();
        let page = store.list(&Query::following(0, 1)).await.unwrap();
        assert_eq!(page.oldest, 1);
    }
}
