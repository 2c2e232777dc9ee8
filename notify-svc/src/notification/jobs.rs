//! The consumer that creates notifications from events.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, all_or_poison},
};

use super::{
    audience,
    corrections::Correction,
    queue::{Prepared, Queue},
};
use crate::store::StoreError;

/// The consumer group.
pub(crate) fn group() -> Group {
    let topics = audience::TOPICS.iter();
    Group {
        name: "notifications",
        topics: topics.map(|topic| topic.name.to_owned()).collect(),
        // A failure here concerns all events, never one alone, so no retry topics are needed.
        order: Order::PerKey,
    }
}

/// Creates notifications from the events that the bus delivers.
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

    /// Loads the types of these events that this process does not know: another process may have
    /// just stored their templates.
    async fn look_up(&self, events: &[Event]) -> Result<(), StoreError> {
        self.queue.templates.known().await?;
        for kind in events.iter().filter_map(audience::announced) {
            self.queue.templates.with(&kind).await?;
        }
        Ok(())
    }

    /// Corrects what waits to be sent and is not true after these events. The events of a task come
    /// in order, so its notifications are in the queue.
    async fn correct(&self, events: &[Event]) -> Result<(), StoreError> {
        let corrections: Vec<_> = events.iter().flat_map(Correction::by).collect();
        let now = self.queue.clock.now();
        let corrected = self.queue.store.correct(&corrections, now).await?;
        if corrected > 0 {
            tracing::info!(
                corrected,
                "corrected or withdrew waiting mails that were not true any more"
            );
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
        self.look_up(events).await?;
        let mut prepared = Vec::with_capacity(events.len());
        for event in events {
            let notifications = event.trace.scope(self.prepare(event));
            prepared.push((event, notifications.await));
        }
        let notifications = all_or_poison(prepared)?.into_iter().flatten().collect();
        self.queue.enqueue(notifications).await?;
        self.correct(events).await?;
        Ok(())
    }
}
