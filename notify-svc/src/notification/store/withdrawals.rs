//! Withdraws notifications that wait to be sent and are not true any more.

use jiff::Timestamp;
use slipway_store::Query as Part;

use super::{NotificationStore, READ, stored::BY_STATE, stored::Stored};
use crate::{
    notification::{Notification, NotificationId, State, audience::Withdrawal},
    store::StoreError,
};

impl NotificationStore {
    /// Suppresses the queued notifications that one of `withdrawals` concerns. Returns how many.
    /// One that is just being sent is sent.
    ///
    /// # Errors
    /// If the database is unavailable. Some may be suppressed: try again.
    pub async fn withdraw(
        &self,
        withdrawals: &[Withdrawal],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let Some(since) = withdrawals.iter().map(|one| one.since).min() else {
            return Ok(0);
        };
        let queued = Part::first(READ, State::Queued.as_str());
        let (mut withdrawn, mut last) = (0, NotificationId::first_at(since));
        loop {
            let found: Vec<Stored> = self.0.list(&BY_STATE, &queued.clone().above(last)).await?;
            let Some(newest) = found.last() else {
                return Ok(withdrawn);
            };
            last = newest.notification.id;
            let of = |notification: &Notification| {
                let mut withdrawals = withdrawals.iter();
                withdrawals.find(|withdrawal| withdrawal.concerns(notification))
            };
            let is_about = |stored: &Stored| of(&stored.notification).is_some();
            let about = found.into_iter().filter(is_about).collect();
            let suppressed = |stored: &Stored| {
                let reason = of(&stored.notification).map_or("", Withdrawal::reason);
                let notification = stored.notification.clone().suppressed(reason);
                stored.changed(Notification {
                    updated_at: now,
                    ..notification
                })
            };
            withdrawn += self.change(about, suppressed).await?.0.len();
        }
    }
}
