//! Deletes the events of other programs, the receipts of requests, and the tallies of mails
//! that have been kept long enough.

use std::{sync::Arc, time::Duration};

use slipway_runtime::{clock::SharedClock, life::Background};
use slipway_store::receipts::{RECEIPT_TTL, ReceiptStore};

use crate::{
    notification::gathering,
    store::{StoreError, intake::IntakeStore, tallies::TallyStore},
};

const EVERY: Duration = Duration::from_secs(15 * 60);

/// What is deleted in one write at most.
const BATCH: usize = 500;

/// Forgets what has been kept for [`RECEIPT_TTL`], tallies after [`gathering::KEPT`].
pub(crate) struct Forgetting {
    intake: IntakeStore,
    receipts: Arc<dyn ReceiptStore>,
    tallies: TallyStore,
    clock: SharedClock,
}

impl Forgetting {
    pub(crate) fn new(
        intake: IntakeStore,
        receipts: Arc<dyn ReceiptStore>,
        tallies: TallyStore,
        clock: SharedClock,
    ) -> Self {
        Self {
            intake,
            receipts,
            tallies,
            clock,
        }
    }

    /// Forgets now and then, until told to stop.
    pub(crate) fn spawn(self, background: &Background) {
        let forgetting = Arc::new(self);
        background.spawn("intake-prune", move |stop| {
            let forgetting = Arc::clone(&forgetting);
            async move {
                loop {
                    if let Err(error) = forgetting.sweep().await {
                        tracing::warn!(%error, "what is old could not be deleted");
                    }
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(EVERY) => {}
                    }
                }
            }
        });
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let unchanged_since = now - gathering::KEPT;
        while self.tallies.prune(unchanged_since, BATCH).await? == BATCH {}
        let before = now - RECEIPT_TTL;
        while self.intake.prune(before, BATCH).await? == BATCH {}
        Ok(self.receipts.purge_receipts(before).await?)
    }
}
