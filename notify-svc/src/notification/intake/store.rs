//! Stores accepted events: one document for each, with its outbox event and its receipt; and one
//! for each sender, with the times that count against the quota.
//!
//! The quota is used first, so concurrent events cannot exceed it. An event whose process ends
//! between the two writes, or that is a repetition, has also used its part of the quota.

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
    /// Newest first; at most as many as the quota.
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

/// The result of accepting an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is stored, with its outbox event and its receipt.
    Stored,
    /// The quota is used up and nothing is stored. Contains how long to wait.
    TooMany(SignedDuration),
}

/// The store of accepted events.
#[derive(Clone)]
pub struct IntakeStore(Documents);

impl IntakeStore {
    /// A store of the accepted events in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// Stores an event with the receipt of its request and puts `event` into the outbox, if the
    /// sender's quota allows it.
    ///
    /// # Errors
    /// If the request already has a receipt: nothing is stored. If the database is unavailable: the
    /// event may have been stored.
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

    /// Uses one event of the sender's quota, or returns how long to wait.
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

    /// An accepted event.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn get(&self, id: Uuid) -> Result<Option<AcceptedEvent>, StoreError> {
        Ok(self.0.get(id).await?)
    }

    /// When the sender's latest events were accepted, newest first; at most as many as the quota.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn latest(&self, sender: Uuid) -> Result<Vec<Timestamp>, StoreError> {
        let used: Option<SenderUsage> = self.0.get(sender).await?;
        Ok(used.map_or_else(Vec::new, |used| used.times))
    }

    /// Deletes at most `limit` published events that were accepted before `before`, oldest first;
    /// returns how many.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let old = Query::first(limit, "").below(by_time(before, ""));
        let old: Vec<AcceptedEvent> = self.0.list(&BY_TIME, &old).await?;
        let deleted = self.0.write_many(old.iter().map(Write::delete).collect());
        Ok(deleted.await?.into_iter().filter(Result::is_ok).count())
    }
}
