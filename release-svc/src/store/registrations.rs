//! Counts registrations, and links that are asked for: one document per subject (network address or
//! account) and hour.

use serde::{Deserialize, Serialize};
use slipway_store::{Collection, Document, Entries, Index, Query, Write};

use super::{StoreError, UserStore};
use crate::identity::{quota::Hour, throttle::Subject};

/// Documents that one write purges.
const PURGED: u32 = 500;

const BY_HOUR: Index = Index::list("by_hour");

/// The registrations of a subject in an hour.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Registrations {
    subject: Subject,
    hour: Hour,
    count: u32,
}

impl Document for Registrations {
    const COLLECTION: Collection = Collection::new("registrations", 1, &[BY_HOUR]);

    type Summary = ();

    fn id(&self) -> String {
        id(&self.subject, self.hour)
    }

    fn revision(&self) -> u64 {
        self.count.into()
    }

    fn entries(&self, entries: &mut Entries) {
        let (hour, id) = (place(self.hour), self.id());
        entries.list(&BY_HOUR, "", format!("{hour}/{id}"));
    }

    fn summary(&self) {}
}

fn id(subject: &Subject, hour: Hour) -> String {
    format!("{}@{}", subject.as_str(), hour.number())
}

/// The sort key of an hour.
fn place(hour: Hour) -> String {
    format!("{:010}", hour.number().max(0))
}

impl UserStore {
    /// Counts a registration, or a link, of the subject in this hour. Returns `false`, without counting, if
    /// there were `limit` of them already.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn count_registration(
        &self,
        subject: &Subject,
        hour: Hour,
        limit: u32,
    ) -> Result<bool, StoreError> {
        let count = |before: Option<&Registrations>| {
            let count = before.map_or(0, |before| before.count);
            (count < limit).then(|| Registrations {
                subject: subject.clone(),
                hour,
                count: count + 1,
            })
        };
        // A flood comes from one address and so writes one document. The lock avoids conflicts
        // and retries within this process; only other processes still conflict.
        let _counting = self.counting.lock().await;
        let counted = self.documents.update(id(subject, hour), count).await?;
        Ok(counted.is_some())
    }

    /// Deletes the counts of registrations of the hours before `before`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn purge_registrations(&self, before: Hour) -> Result<(), StoreError> {
        let old = Query::first(PURGED, "").below(place(before));
        loop {
            let found: Vec<Registrations> = self.documents.list(&BY_HOUR, &old).await?;
            // A document that has changed meanwhile is not deleted; the next purge handles it.
            let purge = found.iter().map(Write::delete).collect();
            self.documents.write_many(purge).await?;
            if found.len() < PURGED as usize {
                return Ok(());
            }
        }
    }
}
