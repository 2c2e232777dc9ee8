//! Background jobs of this service: does what is due on releases, and deletes expired data.

use std::{sync::Arc, time::Duration};

use slipway_runtime::{clock::SharedClock, life::Background};
use slipway_store::{due::Timer, receipts::RECEIPT_TTL};

use crate::{
    commands::Commands,
    identity::{quota::Hour, throttle::WINDOW},
    store::{StoreError, Stores},
};

const EVERY: Duration = Duration::from_secs(15 * 60);

/// Does on each release what is due, such as reporting a stale task.
pub(crate) fn pass_time(commands: Arc<Commands>, background: &Background) {
    let timer = Timer {
        name: "releases",
        documents: commands.releases().documents().clone(),
        wake: commands.due.clone(),
        clock: SharedClock::clone(&commands.clock),
    };
    timer.spawn(background, move |release| {
        let commands = Arc::clone(&commands);
        async move { commands.pass_time(release).await }
    });
}

/// Deletes expired receipts, failed sign-ins, registration counts and the remains of deleted
/// releases every 15 minutes.
pub(crate) fn purge(stores: Stores, clock: SharedClock, background: &Background) {
    background.repeat("delete-expired", EVERY, move || {
        let (stores, clock) = (stores.clone(), SharedClock::clone(&clock));
        async move { purge_once(&stores, &clock).await }
    });
}

async fn purge_once(stores: &Stores, clock: &SharedClock) -> Result<(), StoreError> {
    let now = clock.now();
    stores.receipts.purge_receipts(now - RECEIPT_TTL).await?;
    stores.releases.purge_deleted(now - RECEIPT_TTL).await?;
    let users = &stores.users;
    users.purge_failures(now - WINDOW).await?;
    users.purge_registrations(Hour::of(now)).await
}
