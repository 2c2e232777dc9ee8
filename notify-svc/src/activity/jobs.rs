//! Background jobs of the activity log: a consumer appends each event of the topics in the feed,
//! and a poller notices entries that other replicas have appended. An event that violates the
//! schema of its type becomes a dead letter.

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

/// Describes all of the events.
///
/// # Errors
/// Reports the events whose payload violates its schema as poison.
fn narrate(events: &[Event]) -> Result<Vec<Activity>, Failure> {
    all_or_poison(events.iter().map(|event| {
        let violates = |error| format!("its payload violates {}: {error}", event.dataschema);
        (event, Activity::narrate(event).map_err(violates))
    }))
}

/// How often the log is polled for entries of other replicas: one query for all watchers.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// Sets the known end of the log to entries that other replicas have appended: their appends do
/// not wake this process.
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
                // Logged once per outage, not four times a second.
                Err(error) if !away => {
                    tracing::warn!(%error, "activity log cannot be read");
                    away = true;
                }
                Err(_) => {}
            }
        }
    }
}
