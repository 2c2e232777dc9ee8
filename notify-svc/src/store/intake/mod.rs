//! Accepted events, in a database: each with its event in the outbox, its receipt, and
//! its place in the sender's quota.

pub(crate) mod mongo;
pub(super) mod sqlite;

#[cfg(test)]
mod contract;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use slipway_mesh::{bus::Event, life::Check, receipts::Receipt};
use uuid::Uuid;

pub(crate) use mongo::MongoIntakeStore;
pub(crate) use sqlite::SqliteIntakeStore;

use super::StoreError;
use crate::intake::Accepted;

/// What became of an event that somebody announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is stored, with its event and its receipt.
    Stored,
    /// The sender has used up the quota; nothing is stored. Another may come after this.
    TooMany(SignedDuration),
    /// There is a receipt of this key already; nothing is stored.
    Repeated,
}

/// Accepted events.
#[async_trait]
pub trait IntakeStore: Check {
    /// Stores an event with the receipt of its request, and puts `event` into the outbox,
    /// if the sender's quota allows.
    ///
    /// # Errors
    /// If the database is away. Then it is not known whether it is stored.
    async fn accept(
        &self,
        accepted: &Accepted,
        event: Event,
        receipt: Option<Receipt>,
    ) -> Result<Acceptance, StoreError>;

    /// An event that was accepted.
    ///
    /// # Errors
    /// If the database is away.
    async fn get(&self, id: Uuid) -> Result<Option<Accepted>, StoreError>;

    /// When the sender's latest events were accepted, newest first: as many as the quota.
    ///
    /// # Errors
    /// If the database is away.
    async fn latest(&self, sender: Uuid) -> Result<Vec<Timestamp>, StoreError>;

    /// Deletes, from the oldest on, at most `limit` events accepted before `before` that
    /// are published; returns how many.
    ///
    /// # Errors
    /// If the database is away.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;
}
