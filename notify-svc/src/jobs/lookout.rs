//! Looks out for entries that other replicas append: their appends do not wake this
//! process.

use std::{sync::Arc, time::Duration};

use slipway_runtime::life::Background;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{newest::Newest, store::activity::ActivityStore};

/// How long another replica's entry may stay unseen. One look for all watchers.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Announces the newest number in the log.
pub(crate) struct Lookout {
    store: ActivityStore,
    newest: Newest,
}

impl Lookout {
    pub(crate) fn new(store: ActivityStore, newest: Newest) -> Self {
        Self { store, newest }
    }

    /// Looks until told to stop.
    pub(crate) fn spawn(self, background: &Background) {
        let lookout = Arc::new(self);
        background.spawn("activity-lookout", move |stop| {
            let lookout = Arc::clone(&lookout);
            async move { lookout.run(&stop).await }
        });
    }

    async fn run(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.store.newest().await {
                Ok(sequence) => {
                    self.newest.announce(sequence);
                    away = false;
                }
                // Said once, not four times a second.
                Err(error) if !away => {
                    tracing::warn!(%error, "the activity log cannot be read");
                    away = true;
                }
                Err(_) => {}
            }
        }
    }
}
