//! The consumer that makes notifications of events.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, Refusal, Verdict},
};

use crate::{
    metrics as m,
    notification::audience,
    notifier::{Notifier, Prepared},
    store::StoreError,
};

/// The consumer group.
pub(super) fn group() -> Group {
    let topics = audience::TOPICS.iter();
    Group {
        name: "notifications",
        topics: topics.map(|topic| topic.name.to_owned()).collect(),
        // Nothing here is retryable for one event alone, so no retry topics are needed.
        order: Order::PerKey,
    }
}

/// Makes notifications of what the bus delivers.
pub(crate) struct Notifying {
    notifier: Notifier,
}

impl Notifying {
    pub(crate) fn new(notifier: Notifier) -> Self {
        Self { notifier }
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
        self.notifier.templates.known().await?;
        for kind in events.iter().filter_map(audience::announced) {
            self.notifier.templates.with(&kind).await?;
        }
        Ok(())
    }

    async fn prepare(&self, event: &Event) -> Result<Vec<Prepared>, String> {
        let drafts = audience::of(event).map_err(|error| error.to_string())?;
        let mut prepared = Vec::new();
        for draft in drafts {
            let notification = self.notifier.prepare(event.id, draft).await;
            prepared.push(notification.map_err(|error| error.to_string())?);
        }
        Ok(prepared)
    }
}

#[async_trait]
impl Handler for Notifying {
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
        let queued = self.notifier.enqueue(notifications).await.map_err(away)?;
        metrics::counter!(m::QUEUED).increment(queued as u64);
        Ok(())
    }
}
