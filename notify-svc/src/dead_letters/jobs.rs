//! The job that stores the dead letters of all consumer groups.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use slipway_bus::{
    Delivery,
    consumer::{Collector, DeadLetter, Host, RecordSink, collect::KnownTopics, dead},
};
use slipway_runtime::{
    alarm::{self, Kind},
    clock::SharedClock,
};

use super::{Filed, store::DeadLetterStore};
use crate::metrics as m;

/// The consumer group.
const GROUP: &str = "dead-letter-desk";

/// Prefix of all of Slipway's topics: a broker may have others.
pub(super) const OURS: &str = "slipway.";

/// Stores the dead letters that the bus delivers.
pub(crate) struct DeadLetterSink {
    store: DeadLetterStore,
    clock: SharedClock,
}

impl DeadLetterSink {
    pub(crate) fn new(store: DeadLetterStore, clock: SharedClock) -> Self {
        Self { store, clock }
    }

    /// Collects dead letters until told to stop. Returns the topics that exist on the bus.
    pub(crate) fn spawn(self, host: &Host) -> KnownTopics {
        let collector = Collector {
            group: GROUP,
            wants: |topic| topic.starts_with(OURS) && dead::is_dead_letter_topic(topic),
            sink: Arc::new(self),
        };
        collector.spawn(host)
    }
}

/// Raises one alert for each group, however many dead letters it has.
fn alert(records: &[Delivery]) {
    let groups: BTreeSet<_> = records.iter().map(|r| DeadLetter::read(r).group).collect();
    for group in groups {
        let text = format!("{group} could not handle an event: see /admin/dead-letters");
        alarm::raise(Kind::DeadLetter, &group, &text);
    }
}

#[async_trait]
impl RecordSink for DeadLetterSink {
    async fn store(&self, records: &[Delivery]) -> Result<(), String> {
        let now = self.clock.now();
        let letters = records
            .iter()
            .map(|record| Filed::new(DeadLetter::read(record), now))
            .collect();
        let new = self.store.file(letters).await;
        let new = new.map_err(|error| error.to_string())?;
        metrics::counter!(m::DEAD_LETTERS_FILED).increment(new as u64);
        if new > 0 {
            alert(records);
        }
        Ok(())
    }
}
