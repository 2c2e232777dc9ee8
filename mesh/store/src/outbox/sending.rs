//! Publishes one batch of events on the bus and removes the published ones from the outbox.

use std::{collections::HashSet, fmt};

use uuid::Uuid;

use super::{OutboxStore, Pending};
use crate::StoreError;
use slipway_bus::{BusError, SharedBus};
use slipway_runtime::telemetry::{
    TraceContext,
    spans::{self, STEPS},
    trace::TRACEPARENT,
};

/// The result of publishing a batch.
#[derive(Default)]
pub(super) struct Sent {
    /// The number of events published and removed.
    pub(super) published: usize,
    /// For each aggregate the first event that was refused.
    pub(super) refused: Vec<Refused>,
    /// Why other events were not published: they are tried again.
    pub(super) away: Option<BusError>,
}

/// An event that the bus refuses.
pub(super) struct Refused {
    entry: Pending,
    reason: String,
}

impl Refused {
    /// The aggregate of the event.
    pub(super) fn aggregate(&self) -> Uuid {
        self.entry.aggregate
    }
}

impl fmt::Display for Refused {
    /// As one line: a replayed dead letter may have any text in its headers.
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

/// Publishes these events in order. Removes the published ones, in each aggregate up to the first
/// one that was not published.
pub(super) async fn send(
    bus: &SharedBus,
    store: &dyn OutboxStore,
    pending: Vec<Pending>,
) -> Result<Sent, StoreError> {
    let traces = pending.iter().map(|entry| entry.record.header(TRACEPARENT));
    let spans = spans::shared_step(
        traces.map(TraceContext::read),
        || tracing::debug_span!(target: STEPS, "publish", otel.kind = "producer"),
    );
    let records = pending.iter().map(|entry| entry.record.clone()).collect();
    let outcomes = match bus.publish(records).await {
        Ok(()) => vec![Ok(()); pending.len()],
        Err(unpublished) => unpublished.outcomes(),
    };
    drop(spans);
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
