//! One publication: what is handed to the bus, and what becomes of it.

use std::{collections::HashSet, fmt};

use uuid::Uuid;

use super::{OutboxStore, Pending};
use crate::StoreError;
use slipway_bus::{BusError, SharedBus};

/// What became of some events.
#[derive(Default)]
pub(super) struct Sent {
    /// How many were published, and removed.
    pub(super) published: usize,
    /// The first of its aggregate that was refused, for each.
    pub(super) refused: Vec<Refused>,
    /// Why others were not published for now.
    pub(super) away: Option<BusError>,
}

/// An event that the bus refuses.
pub(super) struct Refused {
    entry: Pending,
    reason: String,
}

impl Refused {
    /// Whose event it is.
    pub(super) fn aggregate(&self) -> Uuid {
        self.entry.aggregate
    }
}

impl fmt::Display for Refused {
    /// In one line: a dead letter on its way back may say anything of itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pending {
            aggregate, record, ..
        } = &self.entry;
        let header = |name| record.header(name).unwrap_or_default().escape_debug();
        write!(
            f,
            "the bus refuses the event {} ({}) for {}: it waits, and what {aggregate} tells after \
             it: {}",
            header("ce_id"),
            header("ce_type"),
            record.topic,
            self.reason
        )
    }
}

/// Publishes these events, in order, and removes those that have been, as far as none of
/// their aggregate before them has not.
pub(super) async fn send(
    bus: &SharedBus,
    store: &dyn OutboxStore,
    pending: Vec<Pending>,
) -> Result<Sent, StoreError> {
    let records = pending.iter().map(|entry| entry.record.clone()).collect();
    let outcomes = match bus.publish(records).await {
        Ok(()) => vec![Ok(()); pending.len()],
        Err(unpublished) => unpublished.outcomes(),
    };
    let (mut published, mut failed, mut sent) = (Vec::new(), HashSet::new(), Sent::default());
    for (entry, outcome) in pending.into_iter().zip(outcomes) {
        if failed.contains(&entry.aggregate) {
            continue;
        }
        let Err(error) = outcome else {
            published.push(entry);
            continue;
        };
        failed.insert(entry.aggregate);
        if error.is_passing() {
            sent.away = Some(error);
        } else {
            let reason = error.to_string();
            sent.refused.push(Refused { entry, reason });
        }
    }
    if !published.is_empty() {
        store.remove(&published).await?;
    }
    sent.published = published.len();
    Ok(sent)
}
