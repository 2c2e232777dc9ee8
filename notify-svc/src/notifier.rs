//! The way into the queue: whoever has something to tell makes notifications here.

use std::sync::Arc;

use slipway_mesh::clock::SharedClock;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    notification::{Draft, Notification},
    store::{StoreError, notifications::NotificationStore},
    templates::{RenderError, Templates},
};

/// Tells the dispatcher of this process that something is due.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell(Arc<Notify>);

impl Bell {
    /// Something is due.
    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it is rung, or returns at once if it was meanwhile.
    pub(crate) async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Makes notifications and puts them into the queue.
#[derive(Clone)]
pub struct Notifier {
    pub(crate) store: Arc<dyn NotificationStore>,
    pub(crate) templates: Arc<Templates>,
    pub(crate) clock: SharedClock,
    pub(crate) bell: Bell,
}

impl Notifier {
    /// The notification that tells of the event `event_id`, not yet in the queue.
    ///
    /// # Errors
    /// If the type has no template, or it cannot be used.
    pub fn prepare(&self, event_id: Uuid, draft: Draft) -> Result<Notification, RenderError> {
        let subject = self.templates.subject(&draft.kind, &draft.data)?;
        let now = self.clock.now();
        Ok(Notification::new(draft, event_id, subject, now))
    }

    /// Puts notifications into the queue, in one write; those that are there already
    /// (the same event, recipient and channel) are passed over. Returns how many were
    /// not.
    ///
    /// # Errors
    /// If the database is away: try again with all.
    pub async fn enqueue(&self, notifications: Vec<Notification>) -> Result<usize, StoreError> {
        if notifications.is_empty() {
            return Ok(0);
        }
        let made = self.store.enqueue(notifications).await?;
        self.bell.ring();
        Ok(made)
    }
}
