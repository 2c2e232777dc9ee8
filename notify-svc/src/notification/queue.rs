//! Puts notifications into the queue: creates them, applies preferences and gathering, and stores
//! them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use slipway_runtime::clock::SharedClock;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Draft, Notification, Occasion, audience,
    gathering::{Rule, Tallies, store::TallyStore},
    preferences::{Decision, store::PreferenceStore},
    store::NotificationStore,
    templates::{Library, RenderError},
};
use crate::{metrics as m, store::StoreError};

/// How many times gathering is decided again because another writer has changed a tally.
const TRIES: usize = 100;

/// A notification that is not yet in the queue.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// The notification.
    pub(crate) notification: Notification,
    /// The properties that decide whether it is gathered.
    pub(crate) occasion: Occasion,
}

/// Creates notifications and puts them into the queue.
#[derive(Clone)]
pub(crate) struct Queue {
    pub(crate) store: NotificationStore,
    pub(crate) preferences: PreferenceStore,
    pub(crate) tallies: TallyStore,
    pub(crate) rule: Rule,
    pub(crate) templates: Arc<Library>,
    pub(crate) clock: SharedClock,
    /// Wakes the dispatcher of this process.
    pub(crate) due: Arc<Notify>,
}

impl Queue {
    /// The notification for the event `event_id`, not yet in the queue.
    ///
    /// # Errors
    /// If the type has no template, or the template cannot be rendered.
    pub(crate) async fn prepare(
        &self,
        event_id: Uuid,
        draft: Draft,
    ) -> Result<Prepared, RenderError> {
        let subject = self.templates.subject(&draft.kind, &draft.data).await?;
        let now = self.clock.now();
        Ok(Prepared {
            occasion: Occasion::of(&draft, event_id),
            notification: Notification::new(draft, event_id, subject, now),
        })
    }

    /// Puts notifications into the queue; those already stored (the same event, recipient and
    /// channel) are skipped. Returns how many were new. The recipient's preferences are applied: a
    /// notification may be stored as suppressed or deferred. Many about one thing are gathered.
    ///
    /// # Errors
    /// If the database is unavailable: retry with all of them.
    pub(crate) async fn enqueue(&self, prepared: Vec<Prepared>) -> Result<usize, StoreError> {
        let wanted = self.as_wanted(prepared).await?;
        if wanted.is_empty() {
            return Ok(0);
        }
        let placed = self.placed(wanted).await?;
        let made = self.store.enqueue(placed).await?;
        m::count_queued(made);
        self.due.notify_one();
        Ok(made)
    }

    /// Decides for each whether it is sent at once or gathered. The tallies are stored before the
    /// notifications, so that after a crash in between the decision is the same.
    async fn placed(&self, prepared: Vec<Prepared>) -> Result<Vec<Notification>, StoreError> {
        let keys = prepared
            .iter()
            .flat_map(|one| one.occasion.keys(&one.notification.to));
        let keys: BTreeSet<String> = keys.collect();
        let keys: Vec<_> = keys.into_iter().collect();
        for _ in 0..TRIES {
            let now = self.clock.now();
            let mut tallies = Tallies::of(self.tallies.find(&keys).await?);
            let place = |one: &Prepared| {
                let notification = one.notification.clone();
                self.rule
                    .place(&one.occasion, notification, &mut tallies, now)
            };
            let placed: Vec<_> = prepared.iter().map(place).collect();
            let changed = tallies.changed();
            if changed.is_empty() || self.tallies.save(&changed).await? {
                m::count_gathered(&placed);
                return Ok(placed);
            }
        }
        Err(StoreError::Contended(TRIES))
    }

    /// Applies the recipients' preferences, read in one query. Drops notifications whose
    /// information another notification already contains.
    async fn as_wanted(&self, prepared: Vec<Prepared>) -> Result<Vec<Prepared>, StoreError> {
        let users = prepared.iter().filter_map(|one| one.notification.to.user());
        let mut users: Vec<_> = users.collect();
        users.sort_unstable();
        users.dedup();
        let chosen = match users.is_empty() {
            true => HashMap::new(),
            false => self.preferences.of_all(&users).await?,
        };
        let chosen = |notification: &Notification| chosen.get(&notification.to.user()?);
        // The other notification contains this information, unless the recipient has muted its
        // type.
        let is_announced = |notification: &Notification| {
            let announced_by = audience::announced_by(notification);
            let is_muted = |kind: &str| {
                let preferences = chosen(notification);
                preferences.is_some_and(|preferences| preferences.muted.contains(kind))
            };
            announced_by.is_some_and(|kind| !is_muted(kind))
        };
        let as_wanted = |notification: Notification| {
            let Some(preferences) = chosen(&notification) else {
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
        let as_wanted = |one: Prepared| Prepared {
            notification: as_wanted(one.notification),
            ..one
        };
        let mut prepared = prepared;
        prepared.retain(|one| !is_announced(&one.notification));
        Ok(prepared.into_iter().map(as_wanted).collect())
    }
}
