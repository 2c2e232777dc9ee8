//! The consumer: each event of every topic becomes an entry of the log.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_mesh::{
    bus::{
        Event, SharedBus,
        consumer::{Consumer, Failure, Handler, Order},
    },
    clock::SharedClock,
    life::Background,
};
use slipway_proto::events::{CHAT, TOPICS, Topic};

use crate::{
    activity::{Activity, Narrated},
    metrics as m,
    newest::Newest,
    store::ActivityStore,
};

/// The consumer group.
const GROUP: &str = "activity";

/// Appends what the bus delivers.
pub(crate) struct Projection {
    store: Arc<dyn ActivityStore>,
    newest: Newest,
    clock: SharedClock,
}

impl Projection {
    pub(crate) fn new(store: Arc<dyn ActivityStore>, newest: Newest, clock: SharedClock) -> Self {
        Self {
            store,
            newest,
            clock,
        }
    }

    /// Consumes until told to stop.
    pub(crate) fn spawn(self, bus: &SharedBus, clock: &SharedClock, background: &Background) {
        Consumer {
            group: GROUP,
            topics: shown().map(|topic| topic.name.to_owned()).collect(),
            order: Order::PerKey,
            handler: Arc::new(self),
        }
        .spawn(bus, clock, background);
    }
}

/// The topics whose events are on the wall. Conversations with the assistant are private:
/// that somebody has one is nobody else's business.
fn shown() -> impl Iterator<Item = &'static Topic> {
    TOPICS.iter().filter(|topic| **topic != CHAT)
}

#[async_trait]
impl Handler for Projection {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        let activities = events.iter().map(narrate).collect();
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

fn narrate(event: &Event) -> Activity {
    let Narrated { activity, misfit } = Activity::narrate(event);
    if let Some(error) = misfit {
        tracing::warn!(
            event = %event.id,
            event_type = event.event_type,
            %error,
            "a payload does not fit its schema: it is logged with a generic sentence"
        );
    }
    activity
}
