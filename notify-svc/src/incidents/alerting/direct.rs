//! Mails administrators directly while the database is unavailable.

use std::{collections::HashMap, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use slipway_proto::events::{Payload as _, SystemErrorEvent};
use tokio::time::Instant;
use uuid::Uuid;

use super::Administrator;
use crate::{
    incidents::Incident,
    notification::{
        Attempt, Draft, Notification, Outcome, State,
        mail::{Mail, Sending, SharedMailer},
        queue::Queue,
    },
    store::StoreError,
};

/// Maximum number of fingerprints to remember; others are not mailed directly.
const FINGERPRINTS: usize = 100;

/// Time between two mails for one fingerprint while the database stays unavailable.
const REMINDER: Duration = Duration::from_secs(3600);

/// What was mailed about a fingerprint and is not yet stored.
#[derive(Debug)]
struct Mailed {
    at: Timestamp,
    since: Instant,
    notifications: Vec<Notification>,
}

/// Mails directly, and remembers the mails until they can be stored.
pub(super) struct Direct {
    mailer: SharedMailer,
    queue: Queue,
    mailed: Mutex<HashMap<String, Mailed>>,
}

impl Direct {
    pub(super) fn new(mailer: SharedMailer, queue: Queue) -> Self {
        Self {
            mailer,
            queue,
            mailed: Mutex::default(),
        }
    }

    /// When it mailed about a fingerprint, if that is not yet stored.
    pub(super) fn mailed_at(&self, fingerprint: &str) -> Option<Timestamp> {
        let mailed = self.mailed.lock();
        let mailed = mailed.get(fingerprint)?;
        (!mailed.notifications.is_empty()).then_some(mailed.at)
    }

    /// Mails about an incident that cannot be stored, unless it has done so recently.
    pub(super) async fn mail(&self, incident: &Incident, to: Vec<Administrator>, data: Value) {
        if !self.begin(&incident.fingerprint) {
            return;
        }
        if to.is_empty() {
            tracing::error!(
                fingerprint = incident.fingerprint,
                summary = incident.summary,
                "incident not stored; no administrator is known yet, so nobody was mailed"
            );
        } else {
            tracing::error!(
                fingerprint = incident.fingerprint,
                summary = incident.summary,
                "incident not stored; mailing the administrators directly"
            );
        }
        let event_id = Uuid::now_v7();
        let mails = to.into_iter().map(|to| self.send(event_id, to, &data));
        let sent: Vec<_> = join_all(mails).await.into_iter().flatten().collect();
        let mut mailed = self.mailed.lock();
        if sent.is_empty() {
            // Nobody was reached: the next report tries again.
            mailed.remove(&incident.fingerprint);
        } else if let Some(mailed) = mailed.get_mut(&incident.fingerprint) {
            mailed.notifications.extend(sent);
        }
    }

    /// Whether the caller must mail about it now.
    fn begin(&self, fingerprint: &str) -> bool {
        let mut all = self.mailed.lock();
        let (at, since) = (self.queue.clock.now(), Instant::now());
        let is_full = all.len() >= FINGERPRINTS;
        match all.get_mut(fingerprint) {
            Some(mailed) if mailed.since.elapsed() < REMINDER => return false,
            Some(mailed) => mailed.since = since,
            None if is_full => return false,
            None => {
                let notifications = Vec::new();
                let mailed = Mailed {
                    at,
                    since,
                    notifications,
                };
                all.insert(fingerprint.to_owned(), mailed);
            }
        }
        true
    }

    /// The notification as it will be stored, if the mail server accepted the mail.
    async fn send(&self, event_id: Uuid, to: Administrator, data: &Value) -> Option<Notification> {
        let draft = Draft {
            kind: SystemErrorEvent::TYPE.to_owned(),
            to: to.to,
            data: data.clone(),
            sender: None,
        };
        let begun = Instant::now();
        let prepared = self.queue.prepare(event_id, draft).await.ok()?;
        let mut notification = prepared.notification;
        let templates = &self.queue.templates;
        // Their time zones are in the database.
        let body = templates.body(&notification.kind, data, to.name.as_str());
        let body = body.await.ok()?;
        let mail = Mail {
            id: notification.id,
            to: to.address.parse().ok()?,
            subject: notification.subject.clone(),
            text: body.text,
            html: body.html,
            date: notification.created_at,
            trace: notification.trace,
        };
        match self.mailer.send(&mail).await {
            Sending::Accepted(answer) => {
                let at = notification.created_at;
                let attempt = Attempt::new(at, begun.elapsed(), Outcome::Accepted, &answer);
                notification.attempts.push(attempt);
                notification.state = State::Sent;
                notification.updated_at = self.queue.clock.now();
                Some(notification)
            }
            Sending::Temporary(why) | Sending::Permanent(why) | Sending::Unreachable(why) => {
                tracing::error!(why, "failed to mail an administrator directly");
                None
            }
        }
    }

    /// Stores what was mailed about a fingerprint.
    pub(super) async fn complete(&self, fingerprint: &str) -> Result<(), StoreError> {
        let notifications = {
            let mailed = self.mailed.lock();
            let Some(mailed) = mailed.get(fingerprint) else {
                return Ok(());
            };
            mailed.notifications.clone()
        };
        // Stored as sent, even if the recipient has changed their preferences since.
        self.queue.store.enqueue(notifications).await?;
        self.mailed.lock().remove(fingerprint);
        Ok(())
    }
}
