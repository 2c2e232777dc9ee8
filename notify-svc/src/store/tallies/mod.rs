//! What the tallies of mails need of a database: how many went to whom about what.

pub(crate) mod mongo;
pub(crate) mod sqlite;

#[cfg(test)]
mod contract;

use async_trait::async_trait;
use jiff::Timestamp;

pub(crate) use mongo::MongoTallyStore;
pub(crate) use sqlite::SqliteTallyStore;

use super::StoreError;
use crate::notification::Tally;

/// The tallies, one for each key.
#[async_trait]
pub trait TallyStore: Send + Sync + 'static {
    /// Those of `keys` that there are, in any order.
    ///
    /// # Errors
    /// If the database is away.
    async fn find(&self, keys: &[String]) -> Result<Vec<Tally>, StoreError>;

    /// Stores changes, each in one write that decides between several who change the same
    /// tally at the same time. `false` if one of them was not of the revision before; the
    /// others may be stored.
    ///
    /// # Errors
    /// If the database is away. Then it is not known which are stored.
    async fn save(&self, tallies: Vec<Tally>) -> Result<bool, StoreError>;

    /// Deletes at most `limit` of those that have not changed since `before`; returns how
    /// many.
    ///
    /// # Errors
    /// If the database is away.
    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;
}
