//! Background work of this service, the outbox publisher aside.

use std::time::Duration;

use jiff::SignedDuration;
use slipway_runtime::{clock::SharedClock, life::Background};
use slipway_store::receipts::RECEIPT_TTL;

use crate::{
    metrics as m,
    store::{StoreError, Stores},
};

/// How often receipts that no longer count are deleted.
const PURGE_EVERY: Duration = Duration::from_secs(15 * 60);

/// How often unfinished replies are looked for.
const SETTLE_EVERY: Duration = Duration::from_secs(10);

/// A reply that takes longer than this is not waited for any more. Much longer than any
/// write may take.
const UNFINISHED: SignedDuration = SignedDuration::from_secs(30);

/// Deletes, now and then, the receipts that no longer count.
pub(crate) fn purge(stores: Stores, clock: SharedClock, background: &Background) {
    background.repeat("delete-expired", PURGE_EVERY, move || {
        let (receipts, before) = (stores.receipts.clone(), clock.now() - RECEIPT_TTL);
        async move { receipts.purge_receipts(before).await }
    });
}

/// Settles, now and then, replies that a process which ended has left half-way.
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
