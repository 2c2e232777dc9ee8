//! What notify-svc needs of a database, one module for each thing it keeps. Each has the
//! trait, its terms, both backends, and the contract tests that every backend passes.
//!
//! | module | what is kept |
//! | --- | --- |
//! | [`activity`] | the activity log |
//! | [`dead_letters`] | the desk of dead letters |
//! | [`incidents`] | what is wrong with the system, one for each fingerprint |
//! | [`intake`] | events that other programs announce, with their receipts and quotas |
//! | [`notifications`] | notifications, the attempts to send them, their outbox |
//! | [`preferences`] | what users want |
//! | [`recipients`] | who can be written to |
//! | [`templates`] | what administrators have saved of templates |

pub mod activity;
pub mod dead_letters;
pub mod incidents;
pub mod intake;
pub mod notifications;
pub mod preferences;
pub mod recipients;
mod search;
pub mod templates;

use std::path::Path;

use slipway_mesh::{
    error::Fault,
    outbox::sqlite::{BY_AGGREGATE, OWN_IDS, SCHEMA as OUTBOX},
    receipts::sqlite::SCHEMA as RECEIPT_TABLE,
    store::{
        mongo,
        sqlite::{self, Database},
    },
};

/// The MongoDB database of this service.
pub const DATABASE: &str = "slipway_notify";

/// A page ends early when the texts of its items weigh more than this, so that it stays
/// below the 4 MiB that gRPC clients take by default. An activity weighs
/// 100 KiB at most: two tasks with their descriptions.
pub(crate) const PAGE_WEIGHT: usize = 2 * 1024 * 1024;

/// What is examined for one page at most. Only a combination of conditions examines more
/// than it returns; it then continues on the next page.
pub(crate) const EXAMINED: usize = 10_000;

/// The MongoDB collections whose documents have an outbox.
pub(crate) const OUTBOXES: &[&str] = &[
    dead_letters::mongo::COLLECTION,
    notifications::mongo::COLLECTION,
    intake::mongo::ACCEPTED,
];

/// Those whose documents have receipts.
pub(crate) const RECEIPTS: &[&str] = &[intake::mongo::ACCEPTED];

/// What brings the SQLite file from one version to the next. Appended to, never changed.
const MIGRATIONS: &[&str] = &[
    activity::sqlite::SCHEMA,
    OUTBOX,
    BY_AGGREGATE,
    OWN_IDS,
    dead_letters::sqlite::SCHEMA,
    recipients::sqlite::SCHEMA,
    notifications::sqlite::SCHEMA,
    preferences::sqlite::SCHEMA,
    templates::sqlite::SCHEMA,
    intake::sqlite::SCHEMA,
    RECEIPT_TABLE,
    incidents::sqlite::SCHEMA,
    templates::sqlite::OWN,
];

/// Opens or creates the SQLite file that all stores share.
///
/// # Errors
/// If the file cannot be used.
pub(crate) fn open(path: &Path) -> Result<Database, sqlite::StorageError> {
    Database::open(path, "notify", MIGRATIONS)
}

/// The database did not answer, or not with what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::unavailable("The notification service's database", error)
    }
}

impl From<sqlite::StorageError> for StoreError {
    fn from(error: sqlite::StorageError) -> Self {
        Self(error.to_string())
    }
}

impl From<mongo::StorageError> for StoreError {
    fn from(error: mongo::StorageError) -> Self {
        Self(error.to_string())
    }
}
