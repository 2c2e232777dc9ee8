//! Files the dead letters of all groups.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_mesh::{
    bus::{
        Delivery, SharedBus,
        consumer::{Collector, DeadLetter, Keeper, collect::KnownTopics, dead},
    },
    clock::SharedClock,
    life::Background,
};

use crate::{dead_letter::Filed, metrics as m, store::dead_letters::DeadLetterStore};

/// The consumer group.
const GROUP: &str = "dead-letter-desk";

/// What all of Slipway's topics begin with: there may be others on the same broker.
const OURS: &str = "slipway.";

/// Files what the bus delivers.
pub(crate) struct Desk {
    store: Arc<dyn DeadLetterStore>,
    clock: SharedClock,
}

impl Desk {
    pub(crate) fn new(store: Arc<dyn DeadLetterStore>, clock: SharedClock) -> Self {
        Self { store, clock }
    }

    /// Collects dead letters until told to stop. Returns the topics there are.
    pub(crate) fn spawn(self, bus: &SharedBus, background: &Background) -> KnownTopics {
        let collector = Collector {
            group: GROUP,
            wants: |topic| topic.starts_with(OURS) && dead::is_dead_letter_topic(topic),
            keeper: Arc::new(self),
        };
        collector.spawn(bus, background)
    }
}

#[async_trait]
impl Keeper for Desk {
    async fn keep(&self, records: &[Delivery]) -> Result<(), String> {
        let now = self.clock.now();
        let letters = records
            .iter()
            .map(|record| Filed::new(DeadLetter::read(record), now))
            .collect();
        let new = self.store.file(letters).await;
        let new = new.map_err(|error| error.to_string())?;
        metrics::counter!(m::DEAD_LETTERS_FILED).increment(new as u64);
        Ok(())
    }
}
