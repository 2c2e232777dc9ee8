//! Corrects notifications that wait to be sent and are not true any more.

use std::collections::BTreeSet;

use jiff::Timestamp;
use slipway_store::{Document as _, Query as Part};

use super::{NotificationStore, READ, stored::OF_RELEASE, stored::Stored};
use crate::{
    notification::{
        Notification, State,
        corrections::{Correction, corrected},
    },
    store::StoreError,
};

impl NotificationStore {
    /// Corrects the queued notifications that one of `corrections`, oldest first, concerns. Returns
    /// how many were changed. One that is just being sent is sent.
    ///
    /// # Errors
    /// If the database is unavailable. Some may be corrected: try again.
    pub async fn correct(
        &self,
        corrections: &[Correction],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let releases: BTreeSet<_> = corrections.iter().map(|one| one.release).collect();
        let after = |stored: &Stored| {
            let notification = corrected(&stored.notification, corrections)?;
            Some(stored.changed(Notification {
                updated_at: now,
                ..notification
            }))
        };
        let mut changed = 0;
        for release in releases {
            let queued = Part::first(READ, release);
            let mut last = None;
            loop {
                let found: Vec<Stored> = self
                    .0
                    .list(&OF_RELEASE, &queued.clone().behind(last))
                    .await?;
                let Some(newest) = found.last() else {
                    break;
                };
                last = Some(newest.notification.id);
                let untrue = found.into_iter().filter(|stored| after(stored).is_some());
                let write = |stored: &Stored| after(stored).unwrap_or_else(|| stored.clone());
                let (done, refused) = self.change(untrue.collect(), write).await?;
                changed += done.len();
                for stored in refused {
                    // It was postponed, or is being sent.
                    let again = self.0.update(stored.id(), |now: Option<&Stored>| {
                        let queued = now.filter(|now| now.notification.state == State::Queued);
                        queued.and_then(after)
                    });
                    changed += usize::from(again.await?.is_some());
                }
            }
        }
        Ok(changed)
    }
}
