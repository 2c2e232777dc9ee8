//! Accepted events, in a database: a document for each, with its event and its receipt;
//! and one for each sender, with the times that count for the quota.
//!
//! The quota is used up first. So of events that come at the same time no more are stored
//! than may be; one whose process ends between the two writes, or that turns out to be a
//! repetition, has used up its part all the same.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use slipway_bus::Event;
use slipway_store::receipts::Receipt;
use slipway_store::{Collection, Document, Documents, Entries, Index, Query, Write, by_time};
use uuid::Uuid;

use super::{AcceptedEvent, QUOTA};
use crate::{notification::intake, store::StoreError};

#[cfg(test)]
mod tests;

const BY_TIME: Index = Index::list("by_time");

impl Document for AcceptedEvent {
    const COLLECTION: Collection = Collection::new("accepted", 1, &[BY_TIME])
        .with_events()
        .with_receipts();

    type Summary = ();

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn revision(&self) -> u64 {
        1
    }

    fn entries(&self, entries: &mut Entries) {
        entries.list(&BY_TIME, "", by_time(self.at, self.id));
    }

    fn summary(&self) {}
}

/// When the latest events of a sender were accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SenderUsage {
    sender: Uuid,
    revision: u64,
    /// Newest first: as many as the quota.
    times: Vec<Timestamp>,
}

impl Document for SenderUsage {
    const COLLECTION: Collection = Collection::new("quotas", 1, &[]);

    type Summary = ();

    fn id(&self) -> String {
        self.sender.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, _: &mut Entries) {}

    fn summary(&self) {}
}

/// What became of an event that somebody announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is stored, with its event and its receipt.
    Stored,
    /// The sender has used up the quota; nothing is stored. Another may come after this.
    TooMany(SignedDuration),
}

/// Accepted events.
#[derive(Clone)]
pub struct IntakeStore(Documents);

impl IntakeStore {
    /// The accepted events among these documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// Stores an event with the receipt of its request, and puts `event` into the outbox,
    /// if the sender's quota allows.
    ///
    /// # Errors
    /// If there is a receipt of the request already: then nothing is stored. If the database is
    /// away: then it is not known whether it is stored.
    pub async fn accept(
        &self,
        accepted: &AcceptedEvent,
        event: Event,
        receipt: Option<Receipt>,
    ) -> Result<Acceptance, StoreError> {
        if let Some(wait) = self.use_up(accepted.sender.id, accepted.at).await? {
            return Ok(Acceptance::TooMany(wait));
        }
        let write = Write::insert(accepted)
            .with_events([&event])
            .with_receipt(receipt);
        match self.0.write(write).await? {
            Ok(()) => Ok(Acceptance::Stored),
            Err(refusal) => Err(slipway_store::StoreError::from(refusal).into()),
        }
    }

    /// Uses up a part of the sender's quota, or says how long to wait for one.
    async fn use_up(
        &self,
        sender: Uuid,
        now: Timestamp,
    ) -> Result<Option<SignedDuration>, StoreError> {
        let mut wait = None;
        let use_up = self.0.update(sender, |before: Option<&SenderUsage>| {
            let times = before.map_or(&[][..], |used| &used.times);
            wait = intake::wait(times, now);
            let mut times: Vec<_> = [now].iter().chain(times).copied().collect();
            times.sort_unstable_by(|a, b| b.cmp(a));
            times.truncate(QUOTA);
            wait.is_none().then(|| SenderUsage {
                sender,
                revision: before.map_or(0, |used| used.revision) + 1,
                times,
            })
        });
        use_up.await?;
        Ok(wait)
    }

    /// An event that was accepted.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn get(&self, id: Uuid) -> Result<Option<AcceptedEvent>, StoreError> {
        Ok(self.0.get(id).await?)
    }

    /// When the sender's latest events were accepted, newest first: as many as the quota.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn latest(&self, sender: Uuid) -> Result<Vec<Timestamp>, StoreError> {
        let used: Option<SenderUsage> = self.0.get(sender).await?;
        Ok(used.map_or_else(Vec::new, |used| used.times))
    }

    /// Deletes, from the oldest on, at most `limit` events accepted before `before` that
    /// are published; returns how many.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let old = Query::first(limit, "").below(by_time(before, ""));
        let old: Vec<AcceptedEvent> = self.0.list(&BY_TIME, &old).await?;
        let deleted = self.0.write_many(old.iter().map(Write::delete).collect());
        Ok(deleted.await?.into_iter().filter(Result::is_ok).count())
    }
}
