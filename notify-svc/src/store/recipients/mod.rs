//! Who can be written to, in a database.

pub(super) mod mongo;
pub(super) mod sqlite;

#[cfg(test)]
mod contract;

use async_trait::async_trait;
use slipway_mesh::life::Check;
use uuid::Uuid;

pub(crate) use mongo::MongoRecipientStore;
pub(crate) use sqlite::SqliteRecipientStore;

use super::StoreError;
use crate::recipients::Recipient;

/// The read model of the accounts.
#[async_trait]
pub trait RecipientStore: Check {
    /// Stores accounts as they are now, in order: of two with one id the later stays.
    ///
    /// # Errors
    /// If the database is away. Then it is not known which are stored: try again.
    async fn put(&self, recipients: Vec<Recipient>) -> Result<(), StoreError>;

    /// The accounts with these ids, in no order; those not known are left out.
    ///
    /// # Errors
    /// If the database is away.
    async fn by_ids(&self, ids: &[Uuid]) -> Result<Vec<Recipient>, StoreError>;

    /// The accounts with these names, without regard to case, in no order; those not
    /// known are left out.
    ///
    /// # Errors
    /// If the database is away.
    async fn by_usernames(&self, names: &[String]) -> Result<Vec<Recipient>, StoreError>;

    /// All administrators, by id.
    ///
    /// # Errors
    /// If the database is away.
    async fn admins(&self) -> Result<Vec<Recipient>, StoreError>;
}
