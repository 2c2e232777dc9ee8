//! Background jobs of the audit trail: a consumer appends each event of the audited topics, and the
//! head of the chain is logged, so that it is also kept outside of the database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, all_or_poison},
};
use slipway_proto::events::TOPICS;
use slipway_runtime::{clock::SharedClock, life::Background};

use super::{Entry, is_audited, store::AuditStore};
use crate::metrics as m;

/// How often the head of the chain is logged, if it has changed.
const NOTE_EVERY: Duration = Duration::from_secs(60 * 60);

/// The consumer group.
pub(crate) fn group() -> Group {
    let topics = TOPICS.iter().filter(|topic| is_audited(topic));
    Group {
        name: "audit",
        topics: topics.map(|topic| topic.name.to_owned()).collect(),
        order: Order::PerKey,
    }
}

/// Appends what the bus delivers.
pub(crate) struct Recorder {
    store: AuditStore,
    clock: SharedClock,
}

impl Recorder {
    pub(crate) fn new(store: AuditStore, clock: SharedClock) -> Self {
        Self { store, clock }
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
impl Handler for Recorder {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        let now = self.clock.now();
        let entries = events.iter().map(|event| (event, Entry::of(event, now)));
        let appended = self.store.append(all_or_poison(entries)?).await?;
        metrics::counter!(m::AUDIT_ENTRIES_APPENDED).increment(appended.count);
        Ok(())
    }
}

/// Logs the head of the chain now and every hour, until told to stop.
pub(crate) fn note_head(store: AuditStore, background: &Background) {
    let noted = Arc::new(AtomicU64::new(0));
    background.repeat("note-audit-head", NOTE_EVERY, move || {
        let (store, noted) = (store.clone(), Arc::clone(&noted));
        async move {
            let head = store.head().await?;
            if noted.swap(head.number, Ordering::Relaxed) != head.number {
                tracing::info!(number = head.number, hash = head.hash, "audit trail's head");
            }
            Ok::<_, crate::store::StoreError>(())
        }
    });
}
