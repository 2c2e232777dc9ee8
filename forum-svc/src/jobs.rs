//! Background work of this service, the outbox publisher aside.

use std::time::Duration;

use jiff::SignedDuration;
use slipway_runtime::{clock::SharedClock, life::Background};
use slipway_store::receipts::RECEIPT_TTL;

use crate::{metrics as m, store::Stores};

/// How often receipts that no longer count are deleted.
const PURGE_EVERY: Duration = Duration::from_secs(15 * 60);

/// How often unfinished replies are looked for.
const SETTLE_EVERY: Duration = Duration::from_secs(10);

/// A reply that takes longer than this is not waited for any more. Much longer than any
/// write may take.
const UNFINISHED: SignedDuration = SignedDuration::from_secs(30);

/// Deletes, now and then, the receipts that no longer count.
pub(crate) fn purge(stores: Stores, clock: SharedClock, background: &Background) {
    background.spawn("purge", move |stop| {
        let (stores, clock) = (stores.clone(), SharedClock::clone(&clock));
        async move {
            loop {
                let before = clock.now() - RECEIPT_TTL;
                if let Err(error) = stores.receipts.purge_receipts(before).await {
                    tracing::warn!(%error, "what has expired could not be deleted");
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PURGE_EVERY) => {}
                }
            }
        }
    });
}

/// Settles, now and then, replies that a process which ended has left half-way.
pub(crate) fn settle(stores: Stores, clock: SharedClock, background: &Background) {
    background.spawn("settle", move |stop| {
        let (stores, clock) = (stores.clone(), SharedClock::clone(&clock));
        async move {
            loop {
                match stores.comments.settle(clock.now() - UNFINISHED).await {
                    Ok(0) => {}
                    Ok(settled) => {
                        tracing::info!(settled, "unfinished replies are settled");
                        metrics::counter!(m::SETTLED).increment(settled);
                    }
                    Err(error) => tracing::warn!(%error, "unfinished replies cannot be settled"),
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(SETTLE_EVERY) => {}
                }
            }
        }
    });
}
