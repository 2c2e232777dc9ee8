//! Background jobs: settle questions with expired leases, finish deletions, and end answers when
//! the process stops.

use std::time::Duration;

use slipway_runtime::{clock::SharedClock, life::Background};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::store::{ChatStore, StoreError};

const EVERY: Duration = Duration::from_secs(2);

/// Maximum number of questions settled, or deletions finished, in one batch.
const BATCH: u32 = 100;

/// Every two seconds, settles questions whose leases have expired because their process has ended.
/// Then finishes deletions.
pub(crate) fn sweep(store: ChatStore, clock: SharedClock, background: &Background) {
    background.repeat("expire-questions", EVERY, move || {
        let (store, clock) = (store.clone(), SharedClock::clone(&clock));
        async move {
            let expired = sweep_once(&store, &clock).await?;
            if expired > 0 {
                tracing::info!(expired, "expired questions marked as failed");
            }
            Ok::<_, StoreError>(())
        }
    });
}

async fn sweep_once(store: &ChatStore, clock: &SharedClock) -> Result<u64, StoreError> {
    let mut all = 0;
    loop {
        let settled = store.settle_expired(clock.now(), BATCH).await?;
        all += settled;
        if settled < u64::from(BATCH) {
            break;
        }
    }
    while store.finish_deletions(clock.now(), BATCH).await? == u64::from(BATCH) {}
    Ok(all)
}

/// Ends the answers when the background work is told to stop, and waits until their questions are
/// settled.
pub(crate) fn end_answers(
    shutdown: CancellationToken,
    answers: TaskTracker,
    background: &Background,
) {
    background.spawn("chat-answers", move |stop| {
        let (shutdown, answers) = (shutdown.clone(), answers.clone());
        async move {
            stop.cancelled().await;
            shutdown.cancel();
            answers.close();
            answers.wait().await;
        }
    });
}
