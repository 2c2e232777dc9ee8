//! Background job of this service: deletes expired data.

use std::time::Duration;

use slipway_runtime::{clock::SharedClock, life::Background};
use slipway_store::receipts::RECEIPT_TTL;

use crate::{
    identity::{quota::Hour, throttle::WINDOW},
    store::{StoreError, Stores},
};

const EVERY: Duration = Duration::from_secs(15 * 60);

/// Deletes expired receipts, failed sign-ins and registration counts every 15 minutes.
pub(crate) fn purge(stores: Stores, clock: SharedClock, background: &Background) {
    background.repeat("delete-expired", EVERY, move || {
        let (stores, clock) = (stores.clone(), SharedClock::clone(&clock));
        async move { purge_once(&stores, &clock).await }
    });
}

async fn purge_once(stores: &Stores, clock: &SharedClock) -> Result<(), StoreError> {
    let now = clock.now();
    stores.receipts.purge_receipts(now - RECEIPT_TTL).await?;
    let users = &stores.users;
    users.purge_failures(now - WINDOW).await?;
    users.purge_registrations(Hour::of(now)).await
}
