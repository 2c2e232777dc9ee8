//! A notification as it is stored.

use std::ops::Deref;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{BY_ID, Collection, Document, Entries, Index, by_time};
use uuid::Uuid;

use super::Claim;
use crate::notification::{Notification, NotificationId, State};

/// Each recipient gets an event once on each channel.
const ONCE: Index = Index::unique("once");
/// A group that is being sent, by its lead: the member that was claimed first.
const LEAD: Index = Index::unique("lead");
pub(super) const BY_EVENT: Index = Index::list("by_event");
pub(super) const BY_RECIPIENT: Index = Index::list("by_recipient");
pub(super) const BY_KIND: Index = Index::list("by_kind");
pub(super) const BY_STATE: Index = Index::list("by_state");
/// Members of a digest, by the mail's id.
pub(super) const BY_DIGEST: Index = Index::list("by_digest");
/// Queued notifications, the longest due first.
pub(super) const DUE: Index = Index::list("due");
/// Queued notifications of each group.
pub(super) const QUEUED: Index = Index::list("queued");
/// Queued notifications about each release and its tasks.
pub(super) const OF_RELEASE: Index = Index::list("of_release");
/// Notifications being sent, by the end of their claim.
pub(super) const CLAIMED: Index = Index::list("claimed");

/// A notification with its claim.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stored {
    revision: u64,
    pub(super) notification: Notification,
    /// Set while it is being sent.
    held: Option<Held>,
}

/// The stored part of a claim.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    claim: Uuid,
    until: Timestamp,
    /// Whether it is the lead, which keeps other claims from the group.
    leads: bool,
}

impl Stored {
    pub(super) fn new(notification: Notification) -> Self {
        Self {
            revision: 1,
            notification,
            held: None,
        }
    }

    /// The next revision, without a claim.
    pub(super) fn changed(&self, notification: Notification) -> Self {
        Self {
            revision: self.revision + 1,
            notification,
            held: None,
        }
    }

    /// The next revision, claimed; `digest` is the id of its digest mail, if it has one.
    pub(super) fn claimed(&self, claim: &Claim, digest: Option<NotificationId>) -> Self {
        let held = Held {
            claim: claim.id,
            until: claim.until,
            leads: false,
        };
        let notification = Notification {
            state: State::Sending,
            updated_at: claim.now,
            ..self.notification.clone()
        };
        Self {
            held: Some(held),
            ..self.changed(notification).with_digest(digest)
        }
    }

    /// The same as the lead of its group.
    pub(super) fn leading(mut self) -> Self {
        if let Some(held) = &mut self.held {
            held.leads = true;
        }
        self
    }

    /// The next revision with a different digest id.
    pub(super) fn numbered(&self, digest: Option<NotificationId>) -> Self {
        let next = Self {
            held: self.held.clone(),
            ..self.changed(self.notification.clone())
        };
        next.with_digest(digest)
    }

    fn with_digest(mut self, digest: Option<NotificationId>) -> Self {
        self.notification.digest_id = digest;
        self
    }

    /// Notifications with the same key go into one mail.
    pub(super) fn group(&self) -> Option<String> {
        let Notification { to, group, .. } = &self.notification;
        group.as_ref().map(|group| format!("{to} {group}"))
    }
}

/// A notification that a claim holds. Others cannot change it before the claim expires.
#[derive(Debug, Clone)]
pub struct Claimed(pub(super) Stored);

impl Claimed {
    /// The notification, SENDING.
    #[must_use]
    pub fn notification(&self) -> Notification {
        self.0.notification.clone()
    }
}

impl Deref for Claimed {
    type Target = Notification;

    fn deref(&self) -> &Notification {
        &self.0.notification
    }
}

impl AsRef<Notification> for Claimed {
    fn as_ref(&self) -> &Notification {
        self
    }
}

impl Document for Stored {
    const COLLECTION: Collection = Collection::new(
        "notifications",
        // Version 1 was the layout before documents.
        2,
        &[
            BY_ID,
            ONCE,
            LEAD,
            BY_EVENT,
            BY_RECIPIENT,
            BY_KIND,
            BY_STATE,
            BY_DIGEST,
            DUE,
            QUEUED,
            OF_RELEASE,
            CLAIMED,
        ],
    )
    .with_events();

    type Summary = ();

    fn id(&self) -> String {
        self.notification.id.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, entries: &mut Entries) {
        let Notification {
            id,
            event_id,
            kind,
            to,
            state,
            digest_id,
            due_at,
            ..
        } = &self.notification;
        let channel = self.notification.channel.as_str();
        entries.unique(&ONCE, format_args!("{event_id}/{channel}/{to}"));
        entries.list(&BY_EVENT, event_id, id);
        entries.list(&BY_RECIPIENT, to, id);
        entries.list(&BY_KIND, kind, id);
        entries.list(&BY_STATE, state.as_str(), id);
        if let Some(digest) = digest_id {
            entries.list(&BY_DIGEST, digest, id);
        }
        let group = self.group();
        if *state == State::Queued {
            entries.list(&DUE, "", by_time(*due_at, id));
            if let Some(group) = &group {
                entries.list(&QUEUED, group, id);
            }
            if let Some(release) = self.notification.release() {
                entries.list(&OF_RELEASE, release, id);
            }
        }
        if let Some(held) = &self.held {
            entries.list(&CLAIMED, "", by_time(held.until, id));
            if let Some(group) = group.filter(|_| held.leads) {
                entries.unique(&LEAD, group);
            }
        }
    }

    fn summary(&self) {}
}
