//! Stores failed sign-ins: one document per subject, with the times of the latest failures.

use futures::future::try_join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{Collection, Document, Entries, Index, Query, Write, by_time};

use super::{StoreError, UserStore};
use crate::identity::throttle::{MAX_ADDRESS_FAILURES, MAX_FAILURES, Subject};

/// Times stored per subject. More are not needed: no limit is higher.
const MAX_TIMES: usize = if MAX_FAILURES > MAX_ADDRESS_FAILURES {
    MAX_FAILURES
} else {
    MAX_ADDRESS_FAILURES
};

/// Documents that one write purges.
const PURGED: u32 = 500;

/// By the oldest time.
const BY_OLDEST: Index = Index::list("by_oldest");

/// The failed sign-ins of a subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Failures {
    subject: Subject,
    revision: u64,
    /// Newest first. Empty after a successful sign-in.
    times: Vec<Timestamp>,
}

impl Document for Failures {
    const COLLECTION: Collection = Collection::new("login_failures", 1, &[BY_OLDEST]);

    type Summary = ();

    fn id(&self) -> String {
        self.subject.as_str().to_owned()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, entries: &mut Entries) {
        // Documents without times are purged first.
        let oldest = self.times.last().copied();
        let oldest = oldest.unwrap_or(Timestamp::UNIX_EPOCH);
        entries.list(&BY_OLDEST, "", by_time(oldest, self.subject.as_str()));
    }

    fn summary(&self) {}
}

impl Failures {
    fn next(&self, times: Vec<Timestamp>) -> Self {
        Self {
            subject: self.subject.clone(),
            revision: self.revision + 1,
            times,
        }
    }

    /// With one more failure.
    fn with(&self, at: Timestamp) -> Self {
        let mut times = self.times.clone();
        times.insert(times.partition_point(|time| *time > at), at);
        times.truncate(MAX_TIMES);
        self.next(times)
    }

    /// Without the failures before `before`.
    fn since(&self, before: Timestamp) -> Self {
        let times = self.times.iter().copied();
        self.next(times.filter(|at| *at >= before).collect())
    }
}

impl UserStore {
    /// The times of a subject's latest failed sign-ins after `since`, newest first, at most
    /// `limit`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn failures(
        &self,
        subject: &Subject,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let found: Option<Failures> = self.documents.get(subject.as_str()).await?;
        let times = found.map_or_else(Vec::new, |failures| failures.times);
        let after = times.into_iter().take_while(|at| *at > since);
        Ok(after.take(limit).collect())
    }

    /// Records a failed sign-in for each subject.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn record_failure(
        &self,
        subjects: &[Subject],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let record = subjects.iter().map(|subject| {
            let update = move |before: Option<&Failures>| {
                let first = || Failures {
                    subject: subject.clone(),
                    revision: 1,
                    times: vec![at],
                };
                Some(before.map_or_else(first, |before| before.with(at)))
            };
            self.documents.update(subject.as_str(), update)
        });
        try_join_all(record).await?;
        Ok(())
    }

    /// Clears a subject's failed sign-ins.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn clear_failures(&self, subject: &Subject) -> Result<(), StoreError> {
        let clear = |before: Option<&Failures>| {
            let before = before.filter(|before| !before.times.is_empty())?;
            Some(before.next(Vec::new()))
        };
        self.documents.update(subject.as_str(), clear).await?;
        Ok(())
    }

    /// Deletes the failed sign-ins before `before`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn purge_failures(&self, before: Timestamp) -> Result<(), StoreError> {
        let old = Query::first(PURGED, "").below(by_time(before, ""));
        loop {
            let found: Vec<Failures> = self.documents.list(&BY_OLDEST, &old).await?;
            let left: Vec<_> = found.iter().map(|found| found.since(before)).collect();
            let writes = found.iter().zip(&left);
            let writes = writes.map(|(found, left)| match left.times.is_empty() {
                true => Write::delete(found),
                false => Write::replace(found, left),
            });
            // A document that has changed meanwhile is not written; the next purge handles it.
            self.documents.write_many(writes.collect()).await?;
            if found.len() < PURGED as usize {
                return Ok(());
            }
        }
    }
}
