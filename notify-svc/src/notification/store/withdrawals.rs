//! Withdraws notifications that wait to be sent although their task was deleted.

use std::collections::BTreeSet;

use jiff::Timestamp;
use slipway_store::Query as Part;
use uuid::Uuid;

use super::{NotificationStore, READ, stored::BY_STATE, stored::Stored};
use crate::{
    notification::{Notification, NotificationId, State},
    store::StoreError,
};

/// The reason of a withdrawn notification.
const REASON: &str = "TASK_DELETED: the task was deleted before the mail was sent";

impl NotificationStore {
    /// Suppresses the queued notifications about these tasks that were created at `since` or later.
    /// Returns how many. One that is just being sent is sent.
    ///
    /// # Errors
    /// If the database is unavailable. Some may be suppressed: try again.
    pub async fn withdraw(
        &self,
        tasks: &BTreeSet<Uuid>,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let queued = Part::first(READ, State::Queued.as_str());
        let (mut withdrawn, mut last) = (0, NotificationId::first_at(since));
        loop {
            let found: Vec<Stored> = self.0.list(&BY_STATE, &queued.clone().above(last)).await?;
            let Some(newest) = found.last() else {
                return Ok(withdrawn);
            };
            last = newest.notification.id;
            let is_about = |stored: &Stored| {
                let task = stored.notification.task();
                task.is_some_and(|task| tasks.contains(&task))
            };
            let about = found.into_iter().filter(is_about).collect();
            let suppressed = |stored: &Stored| {
                let notification = stored.notification.clone().suppressed(REASON);
                stored.changed(Notification {
                    updated_at: now,
                    ..notification
                })
            };
            withdrawn += self.change(about, suppressed).await?.0.len();
        }
    }
}
