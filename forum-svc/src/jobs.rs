//! Background jobs of this service: they delete expired receipts and settle unfinished replies.

use std::time::Duration;

use jiff::SignedDuration;
use slipway_runtime::{clock::SharedClock, life::Background};
use slipway_store::receipts::RECEIPT_TTL;

use crate::{
    metrics as m,
    store::{StoreError, Stores},
};

/// How often expired receipts are deleted.
const PURGE_EVERY: Duration = Duration::from_secs(15 * 60);

/// How often unfinished replies are settled.
const SETTLE_EVERY: Duration = Duration::from_secs(10);

/// Age at which a reply that was begun counts as unfinished. Much longer than any write may take.
const UNFINISHED: SignedDuration = SignedDuration::from_secs(30);

/// Deletes expired receipts periodically.
pub(crate) fn purge(stores: Stores, clock: SharedClock, background: &Background) {
    background.repeat("delete-expired", PURGE_EVERY, move || {
        let (receipts, before) = (stores.receipts.clone(), clock.now() - RECEIPT_TTL);
        async move { receipts.purge_receipts(before).await }
    });
}

/// Settles periodically the replies that a process began and did not finish.
pub(crate) fn settle(stores: Stores, clock: SharedClock, background: &Background) {
    background.repeat("finish-replies", SETTLE_EVERY, move || {
        let (comments, before) = (stores.comments.clone(), clock.now() - UNFINISHED);
        async move {
            let finished = comments.settle(before).await?;
            if finished > 0 {
                tracing::info!(
                    finished,
                    "completed replies that another process left unfinished"
                );
                metrics::counter!(m::SETTLED).increment(finished);
            }
            Ok::<_, StoreError>(())
        }
    });
}
