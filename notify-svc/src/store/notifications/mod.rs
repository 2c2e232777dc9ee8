//! Notifications in a database: the queue they are sent from and the log of what became
//! of them are one.

mod page;

pub(crate) mod mongo;
pub(crate) mod sqlite;

#[cfg(test)]
mod contract;

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_bus::Event;
use slipway_runtime::life::Check;
use uuid::Uuid;

pub(crate) use mongo::MongoNotificationStore;
pub use page::{Direction, Page, Query};
pub(crate) use sqlite::SqliteNotificationStore;

use super::StoreError;
use crate::notification::{Notification, NotificationId};

/// A claim on notifications: who sends them, and until when nobody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Made anew for every claim.
    pub id: Uuid,
    /// When it is made.
    pub now: Timestamp,
    /// When it ends by itself: then the notification is taken back into the queue.
    pub until: Timestamp,
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Notifications that are queued or being sent.
    pub waiting: u64,
    /// When the one that has waited longest was due.
    pub oldest_due: Option<Timestamp>,
}

/// The notifications.
#[async_trait]
pub trait NotificationStore: Check {
    /// Stores new notifications. One whose event, recipient and channel are there
    /// already is passed over; returns how many were not.
    ///
    /// # Errors
    /// If the database is away. Then it is not known which are stored: try again.
    async fn enqueue(&self, notifications: Vec<Notification>) -> Result<usize, StoreError>;

    /// Claims notifications that are due, the longest due first, as many as go in `limit`
    /// mails: they are SENDING, and no other claim has them. With one that is gathered,
    /// those of its group are claimed that are queued, at most [`digest::LARGEST`](crate::notification::digest::LARGEST), and all get the
    /// same `digest_id`; of a group that is being sent, nothing is claimed.
    ///
    /// # Errors
    /// If the database is away. What was claimed nevertheless is taken back when the
    /// claim ends.
    async fn claim(&self, claim: &Claim, limit: usize) -> Result<Vec<Notification>, StoreError>;

    /// Stores what an attempt with notifications of a claim led to, each with the events
    /// that tell of it in one write; returns how many. One whose claim has ended, so that
    /// somebody took it back, stays as it is.
    ///
    /// # Errors
    /// If the database is away. Then it is not known which are stored: try again.
    async fn settle(
        &self,
        claim: Uuid,
        settled: Vec<(Notification, Vec<Event>)>,
    ) -> Result<usize, StoreError>;

    /// Takes notifications whose claims end at `ended_by` or before back into the queue,
    /// at most `limit`; returns how many. Each gets an attempt that says so and is due
    /// `now`.
    ///
    /// # Errors
    /// If the database is away.
    async fn take_back(
        &self,
        ended_by: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError>;

    /// A notification.
    ///
    /// # Errors
    /// If the database is away.
    async fn get(&self, id: NotificationId) -> Result<Option<Notification>, StoreError>;

    /// What mails with these ids tell of: the notifications with one of them as their own
    /// id or as their `digest_id`, in any order.
    ///
    /// # Errors
    /// If the database is away.
    async fn mailed_as(&self, ids: &[NotificationId]) -> Result<Vec<Notification>, StoreError>;

    /// Stores what was said of a notification that is SENT, with the events that tell of
    /// it, in one write; `false`, and nothing is stored, if it is not SENT any more.
    ///
    /// # Errors
    /// If the database is away. Then it is not known whether it is stored: try again.
    async fn confirm(
        &self,
        notification: &Notification,
        events: Vec<Event>,
    ) -> Result<bool, StoreError>;

    /// All notifications that tell of an event.
    ///
    /// # Errors
    /// If the database is away.
    async fn of_event(&self, event_id: Uuid) -> Result<Vec<Notification>, StoreError>;

    /// A page of notifications.
    ///
    /// # Errors
    /// If the database is away.
    async fn list(&self, query: &Query) -> Result<Page, StoreError>;

    /// How much waits at `now`.
    ///
    /// # Errors
    /// If the database is away.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError>;

    /// Deletes, from the oldest on, at most `limit` notifications made before `before`
    /// that are not waiting; returns how many.
    ///
    /// # Errors
    /// If the database is away.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;
}
