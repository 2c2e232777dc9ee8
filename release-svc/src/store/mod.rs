//! The stores of release-svc, as documents ([`slipway_store`]).
//!
//! | module | stores |
//! | --- | --- |
//! | [`releases`] | releases, each with its tasks |
//! | [`work`] | a view of each developer's tasks in a release |
//! | [`tasks`] | lists of tasks: their conditions, and the tasks of everybody |
//! | [`users`] | accounts |
//! | [`admins`] | what admins change of accounts, and the guard of the last admin |
//! | [`failures`] | failed sign-ins |
//! | [`flows`] | sign-ins with an identity provider that have begun |
//! | [`registrations`] | registrations per network address and hour |
//! | [`sessions`] | sessions, and tokens for programs |
//!
//! One write commits the new state, its events and the receipt of the request atomically.

mod admins;
mod failures;
mod flows;
mod registrations;
mod releases;
mod sessions;
mod tasks;
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

use self::{admins::AdminGuard, failures::Failures, registrations::Registrations};
pub use self::{
    admins::Administered,
    flows::FlowStore,
    releases::ReleaseStore,
    sessions::{SessionEnd, SessionStore},
    tasks::Conditions,
    users::{AccountFilter, Listed, UserKey, UserStore},
    work::{AssignedKey, AssignedTask},
};
use crate::{
    identity::{Account, UserId},
    provider::flow::Flow,
    release::Release,
    sessions::Session,
};

/// The MongoDB database of this service.
pub const DATABASE: &str = "slipway_release";

/// The collections of this service.
pub const COLLECTIONS: Schema = &[
    Release::COLLECTION,
    Account::COLLECTION,
    AdminGuard::COLLECTION,
    Failures::COLLECTION,
    Registrations::COLLECTION,
    Flow::COLLECTION,
    Session::COLLECTION,
];

/// The stores of this service.
#[derive(Clone)]
pub struct Stores {
    /// Releases and tasks.
    pub releases: ReleaseStore,
    /// Accounts.
    pub users: UserStore,
    /// Sessions.
    pub sessions: SessionStore,
    /// Sign-ins with an identity provider that have begun.
    pub flows: FlowStore,
    /// Receipts of commands.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Events to be published.
    pub outbox: Arc<dyn OutboxStore>,
    /// Health check of the database.
    pub check: Arc<dyn Check>,
}

impl Stores {
    /// The stores in the SQLite file at `path`, which is created if it does not exist.
    /// Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, sqlite::StorageError> {
        Ok(Self::of(Documents::sqlite(path, "release", COLLECTIONS)?))
    }

    /// The stores in the MongoDB database `name`, usually [`DATABASE`]. Missing indexes are
    /// built.
    ///
    /// # Errors
    /// If the server is unavailable, an index exists with another definition, or the database is
    /// of a version without documents.
    pub async fn mongo(client: &mongo::Client, name: &str) -> Result<Self, mongo::StorageError> {
        let documents = Documents::mongo(client, name, COLLECTIONS).await?;
        Ok(Self::of(documents))
    }

    fn of(documents: Documents) -> Self {
        Self {
            releases: ReleaseStore::new(documents.clone()),
            users: UserStore::new(documents.clone()),
            sessions: SessionStore::new(documents.clone()),
            flows: FlowStore::new(documents.clone()),
            receipts: documents.receipts(),
            outbox: documents.outbox(),
            check: Arc::new(documents),
        }
    }
}

/// What is committed together with a change of state.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Events to be published.
    pub events: Vec<Event>,
    /// The receipt, if the request has an idempotency key.
    pub receipt: Option<Receipt>,
}

/// Why a change was not stored. Nothing of it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SaveError {
    /// The stored release is not at the revision that the change is based on.
    #[error("the release was changed meanwhile")]
    Revision,
    /// The developer already has another task in process.
    #[error("the developer is busy")]
    DeveloperBusy(UserId),
    /// The release has too many unpublished events.
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
    /// Another account has the email address.
    #[error("the email address is taken")]
    EmailTaken,
    /// The user of the identity provider has an account.
    #[error("the user of the identity provider has an account")]
    ProviderTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a token for programs was not created.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InsertTokenError {
    /// Another token of the user has the name.
    #[error("the name is taken")]
    NameTaken,
    /// Another token of the user has the slot.
    #[error("the slot is taken")]
    SlotTaken,
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

/// Filters a list of releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReleaseFilter {
    /// Open releases.
    Open,
    /// Completed releases.
    Completed,
}

/// Filters a list of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskFilter {
    /// Assigned, not started.
    Todo,
    /// In process.
    InProcess,
    /// Finished.
    Completed,
}
