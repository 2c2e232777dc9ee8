//! Deletes old data.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use slipway_runtime::{clock::SharedClock, life::Background};
use slipway_store::receipts::RECEIPT_TTL;

use crate::{
    metrics as m,
    notification::gathering,
    store::{StoreError, Stores},
};

const PRUNE_EVERY: Duration = Duration::from_secs(15 * 60);

/// How long the counters of minutes are kept.
const HOURS_KEPT: SignedDuration = SignedDuration::from_hours(8 * 24);

/// Maximum number of documents deleted in one write, so that other writes do not wait long.
const BATCH: usize = 500;

/// Deletes what is older than its retention.
pub(crate) struct Retention {
    pub(crate) stores: Stores,
    pub(crate) clock: SharedClock,
    /// How long entries of the activity log are kept.
    pub(crate) activity: Duration,
    /// How long notifications are kept.
    pub(crate) notifications: Duration,
}

impl Retention {
    /// Deletes now and every 15 minutes, until told to stop.
    pub(crate) fn spawn(self, background: &Background) {
        let retention = Arc::new(self);
        background.repeat("delete-old", PRUNE_EVERY, move || {
            let retention = Arc::clone(&retention);
            async move { retention.sweep().await }
        });
    }

    /// Deletes what is too old. A failure in one store does not stop the others.
    async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let stores = &self.stores;
        let old = before(now, self.activity);
        let activity = in_batches(|| stores.activity.prune(old, BATCH)).await;
        let activity = activity.map(|n| metrics::counter!(m::ENTRIES_PRUNED).increment(n));
        let old = before(now, self.notifications);
        let notifications = in_batches(|| stores.notifications.prune(old, BATCH)).await;
        let notifications =
            notifications.map(|n| metrics::counter!(m::NOTIFICATIONS_PRUNED).increment(n));
        let old = now - gathering::KEPT;
        let tallies = in_batches(|| stores.tallies.prune(old, BATCH)).await;
        let old = now - RECEIPT_TTL;
        let intake = in_batches(|| stores.intake.prune(old, BATCH)).await;
        let old = now - HOURS_KEPT;
        let hours = in_batches(|| stores.statistics.prune_hours(old, BATCH)).await;
        let old = before(now, self.activity);
        let answers = in_batches(|| stores.statistics.prune_answers(old, BATCH)).await;
        let old = now - RECEIPT_TTL;
        let receipts = stores.receipts.purge_receipts(old).await;
        activity.and(notifications).and(tallies).and(intake)?;
        hours.and(answers)?;
        Ok(receipts?)
    }
}

/// Documents stored before this time are older than `retention`; a retention longer than all of
/// time keeps everything.
fn before(now: Timestamp, retention: Duration) -> Timestamp {
    now.checked_sub(retention).unwrap_or(Timestamp::MIN)
}

/// Calls `delete`, which deletes at most [`BATCH`], until nothing is left. Returns the total.
async fn in_batches<F>(delete: impl Fn() -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<usize, StoreError>>,
{
    let mut all = 0;
    loop {
        let deleted = delete().await?;
        all += deleted as u64;
        if deleted < BATCH {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use slipway_runtime::clock::{Clock as _, ManualClock};

    use super::*;
    use crate::activity::store::{Query, tests::log};

    /// A retention with its own database, which keeps activity for `kept`.
    fn keeping(kept: Duration) -> (tempfile::TempDir, Arc<ManualClock>, Retention) {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let retention = Retention {
            stores: Stores::sqlite(&dir.path().join("notify.db")).unwrap(),
            clock: clock.clone(),
            activity: kept,
            notifications: Duration::MAX,
        };
        (dir, clock, retention)
    }

    /// The oldest and the newest number of the log.
    async fn ends(retention: &Retention) -> (u64, u64) {
        let query = Query::following(0, 1);
        let page = retention.stores.activity.list(&query).await.unwrap();
        (page.oldest, page.newest)
    }

    #[tokio::test]
    async fn a_sweep_deletes_everything_that_is_too_old() {
        let (_dir, clock, retention) = keeping(Duration::from_secs(60));
        let old = log(2 * BATCH as u128 + 7);
        let appended = retention.stores.activity.append(old, clock.now()).await;
        appended.unwrap();

        clock.advance(SignedDuration::from_secs(60));
        retention.sweep().await.unwrap();
        let kept = ends(&retention).await;
        assert_eq!(kept, (1, 1007), "none is older than the retention");

        clock.advance(SignedDuration::from_secs(1));
        retention.sweep().await.unwrap();
        assert_eq!(ends(&retention).await, (1007, 1007));
    }

    #[tokio::test]
    async fn an_endless_retention_keeps_everything() {
        let (_dir, clock, retention) = keeping(Duration::MAX);
        let appended = retention.stores.activity.append(log(3), clock.now()).await;
        appended.unwrap();
        retention.sweep().await.unwrap();
        assert_eq!(ends(&retention).await, (1, 3));
    }
}
