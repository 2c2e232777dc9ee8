//! Stores quotas: one document for each user, with the times of the questions that count. It has at
//! most as many as the quota.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{Collection, Document, Entries};

use super::{ChatStore, Quota, StoreError};
use crate::chat::UserId;

/// The questions that count against a user's quota.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    user: UserId,
    revision: u64,
    /// When they were asked, in order.
    times: Vec<Timestamp>,
}

impl Document for Asked {
    const COLLECTION: Collection = Collection::new("quotas", 1, &[]);

    type Summary = ();

    fn id(&self) -> String {
        self.user.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, _: &mut Entries) {}

    fn summary(&self) {}
}

impl ChatStore {
    /// Counts a question of `user` against the quota. `Some(when)` if the quota is used up: then
    /// the question is not counted, and the next one is possible at that time.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn count_question(
        &self,
        user: UserId,
        quota: Quota,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let since = now.checked_sub(quota.window).unwrap_or(Timestamp::MIN);
        let mut free = None;
        let count = self.documents.update(user, |before: Option<&Asked>| {
            let times = before.map_or(&[][..], |asked| &asked.times);
            let mut times: Vec<_> = times.iter().copied().filter(|at| *at > since).collect();
            if times.len() >= quota.limit as usize {
                let oldest = times.iter().min();
                let next = oldest.and_then(|oldest| oldest.checked_add(quota.window).ok());
                free = Some(next.unwrap_or(now));
                return None;
            }
            times.push(now);
            Some(Asked {
                user,
                revision: before.map_or(0, |asked| asked.revision) + 1,
                times,
            })
        });
        count.await?;
        Ok(free)
    }
}
