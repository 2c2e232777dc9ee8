//! The way into the queue: whoever has something to tell makes notifications here.

use std::{collections::HashMap, sync::Arc};

use slipway_mesh::clock::SharedClock;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    metrics as m,
    notification::{Draft, Notification},
    preferences::Decision,
    store::{StoreError, notifications::NotificationStore, preferences::PreferenceStore},
    templates::{Library, RenderError},
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
    pub(crate) preferences: Arc<dyn PreferenceStore>,
    pub(crate) templates: Arc<Library>,
    pub(crate) clock: SharedClock,
    pub(crate) bell: Bell,
}

impl Notifier {
    /// The notification that tells of the event `event_id`, not yet in the queue.
    ///
    /// # Errors
    /// If the type has no template, or it cannot be used.
    pub async fn prepare(&self, event_id: Uuid, draft: Draft) -> Result<Notification, RenderError> {
        let subject = self.templates.subject(&draft.kind, &draft.data).await?;
        let now = self.clock.now();
        Ok(Notification::new(draft, event_id, subject, now))
    }

    /// Puts notifications into the queue, in one write; those that are there already
    /// (the same event, recipient and channel) are passed over. Returns how many were
    /// not. What its recipient does not want, or not now, is stored as that.
    ///
    /// # Errors
    /// If the database is away: try again with all.
    pub async fn enqueue(&self, notifications: Vec<Notification>) -> Result<usize, StoreError> {
        if notifications.is_empty() {
            return Ok(0);
        }
        let wanted = self.as_wanted(notifications).await?;
        let made = self.store.enqueue(wanted).await?;
        self.bell.ring();
        Ok(made)
    }

    /// The same, each as its recipient wants it: one question for all of them.
    async fn as_wanted(
        &self,
        notifications: Vec<Notification>,
    ) -> Result<Vec<Notification>, StoreError> {
        let mut users: Vec<_> = notifications.iter().filter_map(|n| n.to.user()).collect();
        users.sort_unstable();
        users.dedup();
        let chosen = match users.is_empty() {
            true => HashMap::new(),
            false => self.preferences.of_all(&users).await?,
        };
        let as_wanted = |notification: Notification| {
            let user = notification.to.user();
            let Some(preferences) = user.and_then(|user| chosen.get(&user)) else {
                return notification;
            };
            let decision = preferences.decide(&notification.kind, notification.created_at);
            m::count_decision(decision);
            match decision {
                Decision::Deliver => notification,
                Decision::Suppress(why) => notification.suppressed(why.to_string()),
                Decision::Defer(until) => notification.deferred(until),
            }
        };
        Ok(notifications.into_iter().map(as_wanted).collect())
    }
}
