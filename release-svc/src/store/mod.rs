//! What release-svc keeps, as documents ([`slipway_store`]).
//!
//! | module | what is kept |
//! | --- | --- |
//! | [`releases`] | releases, each with its tasks |
//! | [`work`] | what each developer has to do in a release, to be read without it |
//! | [`users`] | accounts |
//! | [`failures`] | failed sign-ins |
//! | [`registrations`] | how many accounts were registered from where |
//!
//! Everything that must be atomic is one write: the new state, its events and the receipt of
//! the request are committed together or not at all.

mod failures;
mod registrations;
mod releases;
#[cfg(test)]
mod tests;
mod users;
mod work;

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use slipway_bus::Event;
use slipway_mongo as mongo;
use slipway_runtime::life::Check;
use slipway_sqlite as sqlite;
pub use slipway_store::StoreError;
use slipway_store::{Document as _, Documents, Schema};
use slipway_store::{
    outbox::OutboxStore,
    receipts::{Receipt, ReceiptStore},
};

use self::{failures::Failures, registrations::Registrations};
pub use self::{
    releases::ReleaseStore,
    users::{UserKey, UserStore},
    work::{AssignedKey, AssignedTask},
};
use crate::{
    identity::{Account, UserId},
    release::Release,
};

/// The MongoDB database of this service.
pub const DATABASE: &str = "slipway_release";

/// What is kept.
const COLLECTIONS: Schema = &[
    Release::COLLECTION,
    Account::COLLECTION,
    Failures::COLLECTION,
    Registrations::COLLECTION,
];

/// The stores of this service.
#[derive(Clone)]
pub struct Stores {
    /// Releases and tasks.
    pub releases: ReleaseStore,
    /// Accounts.
    pub users: UserStore,
    /// Receipts of commands.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Events to be published.
    pub outbox: Arc<dyn OutboxStore>,
    /// Whether the database is there.
    pub check: Arc<dyn Check>,
}

impl Stores {
    /// The stores in the SQLite file at `path`, which is created if it is not there.
    /// Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, sqlite::StorageError> {
        Ok(Self::of(Documents::sqlite(path, "release", COLLECTIONS)?))
    }

    /// The stores in the MongoDB database `name`, usually [`DATABASE`]; its indexes are
    /// built if they are not there.
    ///
    /// # Errors
    /// If the server is away, an index exists with another definition, or the database is
    /// of a version without documents.
    pub async fn mongo(client: &mongo::Client, name: &str) -> Result<Self, mongo::StorageError> {
        let documents = Documents::mongo(client, name, COLLECTIONS).await?;
        Ok(Self::of(documents))
    }

    fn of(documents: Documents) -> Self {
        Self {
            releases: ReleaseStore::new(documents.clone()),
            users: UserStore::new(documents.clone()),
            receipts: documents.receipts(),
            outbox: documents.outbox(),
            check: Arc::new(documents),
        }
    }
}

/// What is committed along with a change of state.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Events to be published.
    pub events: Vec<Event>,
    /// The receipt, if the request asked for one.
    pub receipt: Option<Receipt>,
}

/// Why a change was not stored; nothing of it is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SaveError {
    /// The release is not at the revision the change was made on.
    #[error("the release was changed meanwhile")]
    Revision,
    /// The developer works on another task already.
    #[error("the developer is busy")]
    DeveloperBusy(UserId),
    /// So many of the release's events wait to be published that it takes no more.
    #[error("too many events of the release wait to be published")]
    Backlog,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an account was not created.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InsertUserError {
    /// Another account has the name.
    #[error("the username is taken")]
    UsernameTaken,
    /// Another account has the address.
    #[error("the email address is taken")]
    EmailTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A release in a list: without its tasks, with their counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseSummary {
    /// The release; its tasks are left out.
    pub release: Release,
    /// How many tasks it has.
    pub total: u32,
    /// How many of them are completed.
    pub completed: u32,
}

/// Which releases a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReleaseFilter {
    /// Where work goes on.
    Open,
    /// Declared done.
    Completed,
}

/// Which tasks a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskFilter {
    /// Assigned, not started.
    Todo,
    /// Being worked on.
    InProcess,
    /// Finished.
    Completed,
}
