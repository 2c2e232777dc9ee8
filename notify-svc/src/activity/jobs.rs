//! The consumer: each event of every topic becomes an entry of the log. What violates the
//! schema of its type never can: it is a dead letter. And the poller that notices the entries
//! of other replicas.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, all_or_poison},
};
use slipway_proto::events::TOPICS;
use slipway_runtime::{clock::SharedClock, life::Background};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Activity, is_shown, log_end::LogEnd, store::ActivityStore};
use crate::metrics as m;

/// The consumer group.
pub(crate) fn group() -> Group {
    let topics = TOPICS.iter().filter(|topic| is_shown(topic));
    Group {
        name: "activity",
        topics: topics.map(|topic| topic.name.to_owned()).collect(),
        order: Order::PerKey,
    }
}

/// Appends what the bus delivers.
pub(crate) struct Projection {
    store: ActivityStore,
    log_end: LogEnd,
    clock: SharedClock,
}

impl Projection {
    pub(crate) fn new(store: ActivityStore, log_end: LogEnd, clock: SharedClock) -> Self {
        Self {
            store,
            log_end,
            clock,
        }
    }

    /// Consumes until told to stop.
    pub(crate) fn spawn(self, host: &Host) {
        Consumer {
            group: group(),
            handler: Arc::new(self),
        }
        .spawn(host);
    }
}

#[async_trait]
impl Handler for Projection {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        let activities = narrate(events)?;
        let appended = self.store.append(activities, self.clock.now()).await?;
        metrics::counter!(m::ENTRIES_APPENDED).increment(appended.count);
        self.log_end.set(appended.newest);
        Ok(())
    }
}

/// All of them as activities.
///
/// # Errors
/// Those whose payload violates its schema, as poison.
fn narrate(events: &[Event]) -> Result<Vec<Activity>, Failure> {
    all_or_poison(events.iter().map(|event| {
        let violates = |error| format!("its payload violates {}: {error}", event.dataschema);
        (event, Activity::narrate(event).map_err(violates))
    }))
}

/// How long another replica's entry may stay unseen. One query for all watchers.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// Sets the end of the log to what other replicas have appended: their appends do not
/// wake this process.
pub(crate) struct LogEndPoller {
    store: ActivityStore,
    log_end: LogEnd,
}

impl LogEndPoller {
    pub(crate) fn new(store: ActivityStore, log_end: LogEnd) -> Self {
        Self { store, log_end }
    }

    /// Polls until told to stop.
    pub(crate) fn spawn(self, background: &Background) {
        let poller = Arc::new(self);
        background.spawn("activity-poll", move |stop| {
            let poller = Arc::clone(&poller);
            async move { poller.run(&stop).await }
        });
    }

    async fn run(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.store.newest().await {
                Ok(sequence) => {
                    self.log_end.set(sequence);
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
