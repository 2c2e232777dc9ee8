//! The consumer that makes notifications of events, and the clean-up of what requests and
//! mails leave behind.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, Refusal, Verdict},
};
use slipway_runtime::{clock::SharedClock, life::Background};
use slipway_store::receipts::{RECEIPT_TTL, ReceiptStore};

use super::{
    audience,
    gathering::{self, store::TallyStore},
    intake::store::IntakeStore,
    queue::{Prepared, Queue},
};
use crate::{metrics as m, store::StoreError};

/// The consumer group.
pub(crate) fn group() -> Group {
    let topics = audience::TOPICS.iter();
    Group {
        name: "notifications",
        topics: topics.map(|topic| topic.name.to_owned()).collect(),
        // Nothing here is retryable for one event alone, so no retry topics are needed.
        order: Order::PerKey,
    }
}

/// Makes notifications of what the bus delivers.
pub(crate) struct EventConsumer {
    queue: Queue,
}

impl EventConsumer {
    pub(crate) fn new(queue: Queue) -> Self {
        Self { queue }
    }

    /// Consumes until told to stop.
    pub(crate) fn spawn(self, host: &Host) {
        Consumer {
            group: group(),
            handler: Arc::new(self),
        }
        .spawn(host);
    }

    /// Looks up the types among these events that this process does not know: another may
    /// have just made their templates.
    async fn look_up(&self, events: &[Event]) -> Result<(), StoreError> {
        self.queue.templates.known().await?;
        for kind in events.iter().filter_map(audience::announced) {
            self.queue.templates.with(&kind).await?;
        }
        Ok(())
    }

    async fn prepare(&self, event: &Event) -> Result<Vec<Prepared>, String> {
        let drafts = audience::of(event).map_err(|error| error.to_string())?;
        let mut prepared = Vec::new();
        for draft in drafts {
            let notification = self.queue.prepare(event.id, draft).await;
            prepared.push(notification.map_err(|error| error.to_string())?);
        }
        Ok(prepared)
    }
}

#[async_trait]
impl Handler for EventConsumer {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        let away = |error: StoreError| Failure::Transient(error.to_string());
        self.look_up(events).await.map_err(away)?;
        let (mut notifications, mut refusals) = (Vec::new(), Vec::new());
        for event in events {
            match self.prepare(event).await {
                Ok(prepared) => notifications.extend(prepared),
                Err(reason) => refusals.push(Refusal {
                    event_id: event.id,
                    verdict: Verdict::Poison,
                    reason,
                }),
            }
        }
        if !refusals.is_empty() {
            return Err(Failure::Events(refusals));
        }
        let queued = self.queue.enqueue(notifications).await.map_err(away)?;
        metrics::counter!(m::QUEUED).increment(queued as u64);
        Ok(())
    }
}

/// How often what is old is deleted.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(15 * 60);

/// What is deleted in one write at most.
const BATCH: usize = 500;

/// Deletes the events of other programs and the receipts of requests after [`RECEIPT_TTL`],
/// the tallies of mails after [`gathering::KEPT`].
pub(crate) struct Cleanup {
    intake: IntakeStore,
    receipts: Arc<dyn ReceiptStore>,
    tallies: TallyStore,
    clock: SharedClock,
}

impl Cleanup {
    pub(crate) fn new(
        intake: IntakeStore,
        receipts: Arc<dyn ReceiptStore>,
        tallies: TallyStore,
        clock: SharedClock,
    ) -> Self {
        Self {
            intake,
            receipts,
            tallies,
            clock,
        }
    }

    /// Cleans up now and then, until told to stop.
    pub(crate) fn spawn(self, background: &Background) {
        let cleanup = Arc::new(self);
        background.spawn("intake-prune", move |stop| {
            let cleanup = Arc::clone(&cleanup);
            async move {
                loop {
                    if let Err(error) = cleanup.sweep().await {
                        tracing::warn!(%error, "what is old could not be deleted");
                    }
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(CLEAN_UP_EVERY) => {}
                    }
                }
            }
        });
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let unchanged_since = now - gathering::KEPT;
        while self.tallies.prune(unchanged_since, BATCH).await? == BATCH {}
        let before = now - RECEIPT_TTL;
        while self.intake.prune(before, BATCH).await? == BATCH {}
        Ok(self.receipts.purge_receipts(before).await?)
    }
}
