//! The consumer: each event of every topic becomes an entry of the log. What violates the
//! schema of its type never can: it is a dead letter.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, Refusal, Verdict},
};
use slipway_proto::events::TOPICS;
use slipway_runtime::clock::SharedClock;

use crate::{
    activity::{Activity, is_shown},
    metrics as m,
    newest::Newest,
    store::activity::ActivityStore,
};

/// The consumer group.
pub(super) fn group() -> Group {
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
    newest: Newest,
    clock: SharedClock,
}

impl Projection {
    pub(crate) fn new(store: ActivityStore, newest: Newest, clock: SharedClock) -> Self {
        Self {
            store,
            newest,
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
        let appended = self
            .store
            .append(activities, self.clock.now())
            .await
            .map_err(|error| Failure::Transient(error.to_string()))?;
        metrics::counter!(m::ENTRIES_APPENDED).increment(appended.count);
        self.newest.announce(appended.newest);
        Ok(())
    }
}

/// All of them as activities.
///
/// # Errors
/// Those whose payload violates its schema, as poison.
fn narrate(events: &[Event]) -> Result<Vec<Activity>, Failure> {
    let (mut activities, mut refusals) = (Vec::with_capacity(events.len()), Vec::new());
    for event in events {
        match Activity::narrate(event) {
            Ok(activity) => activities.push(activity),
            Err(error) => refusals.push(Refusal {
                event_id: event.id,
                verdict: Verdict::Poison,
                reason: format!("its payload violates {}: {error}", event.dataschema),
            }),
        }
    }
    if refusals.is_empty() {
        Ok(activities)
    } else {
        Err(Failure::Events(refusals))
    }
}
