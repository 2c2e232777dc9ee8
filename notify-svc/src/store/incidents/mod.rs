//! What the incidents need of a database.

pub(crate) mod mongo;
pub(crate) mod sqlite;

#[cfg(test)]
mod contract;

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_mesh::page::Page;

pub(crate) use mongo::MongoIncidentStore;
pub(crate) use sqlite::SqliteIncidentStore;

use super::StoreError;
use crate::incident::{Incident, IncidentId, State};

/// Where an incident stands in a list.
pub type IncidentKey = (Timestamp, IncidentId);

/// The incidents, one for each fingerprint.
#[async_trait]
pub trait IncidentStore: Send + Sync + 'static {
    /// The incident of a fingerprint.
    ///
    /// # Errors
    /// If the database is away.
    async fn find(&self, fingerprint: &str) -> Result<Option<Incident>, StoreError>;

    /// Stores a new incident; `false` if its fingerprint has one already.
    ///
    /// # Errors
    /// If the database is away.
    async fn insert(&self, incident: &Incident) -> Result<bool, StoreError>;

    /// Stores a change, in one write that decides between several who change it at the
    /// same time: `false` if it was not of the revision before this one.
    ///
    /// # Errors
    /// If the database is away. Then it is not known whether it is stored.
    async fn save(&self, incident: &Incident) -> Result<bool, StoreError>;

    /// Incidents, in this state if one is given, the last seen first, behind `after`.
    ///
    /// # Errors
    /// If the database is away.
    async fn list(
        &self,
        state: Option<State>,
        after: Option<IncidentKey>,
        limit: u32,
    ) -> Result<Page<Incident, IncidentKey>, StoreError>;

    /// Those of which somebody has yet to be told, at most `limit`.
    ///
    /// # Errors
    /// If the database is away.
    async fn owing(&self, limit: u32) -> Result<Vec<Incident>, StoreError>;

    /// Open ones that do not last by themselves and were last seen before `before`, at
    /// most `limit`.
    ///
    /// # Errors
    /// If the database is away.
    async fn silent(&self, before: Timestamp, limit: u32) -> Result<Vec<Incident>, StoreError>;
}
