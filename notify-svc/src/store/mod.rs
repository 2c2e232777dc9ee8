//! What notify-svc needs of a database, one module for each thing it keeps. Each has the
//! trait, its terms, both backends, and the contract tests that every backend passes.
//!
//! | module | what is kept |
//! | --- | --- |
//! | [`activity`] | the activity log |
//! | [`dead_letters`] | the desk of dead letters |
//! | [`incidents`] | what is wrong with the system, one for each fingerprint |
//! | [`intake`] | events that other programs announce, with their receipts and quotas |
//! | [`notifications`] | notifications, the attempts to send them |
//! | [`preferences`] | what users want |
//! | [`recipients`] | who can be written to |
//! | [`tallies`] | how many mails went to whom about what |
//! | [`templates`] | what administrators have saved of templates |

pub mod activity;
pub mod dead_letters;
pub mod incidents;
pub mod intake;
pub mod notifications;
pub mod preferences;
pub mod recipients;
mod search;
mod searching;
pub mod tallies;
pub mod templates;
#[cfg(test)]
mod testing;

use std::{path::Path, sync::Arc};

use slipway_mongo as mongo;
use slipway_rpc::error::Fault;
use slipway_sqlite as sqlite;
use slipway_sqlite::Database;
use slipway_store::{Document as _, Documents, Schema};
use slipway_store::{
    outbox::{
        OutboxStore,
        sqlite::{BY_AGGREGATE, OWN_IDS, SCHEMA as OUTBOX},
    },
    receipts::{ReceiptStore, sqlite::SCHEMA as RECEIPT_TABLE},
};

use self::{
    activity::{ActivityStore, MongoActivityStore, SqliteActivityStore},
    dead_letters::{DeadLetterStore, Kept},
    incidents::IncidentStore,
    intake::{IntakeStore, Used},
    notifications::{NotificationStore, Stored},
    preferences::{Chosen, PreferenceStore},
    recipients::{Known, RecipientStore},
    tallies::TallyStore,
    templates::{Earlier, TemplateStore, Type},
};
use crate::{incident::Incident, intake::Accepted, notification::Tally};

/// The MongoDB database of this service.
pub const DATABASE: &str = "slipway_notify";

/// A page ends early when the texts of its items weigh more than this, so that it stays
/// below the 4 MiB that gRPC clients take by default. An activity weighs
/// 100 KiB at most: two tasks with their descriptions.
pub(crate) const PAGE_WEIGHT: usize = 2 * 1024 * 1024;

/// What is examined for one page at most. Only a combination of conditions examines more
/// than it returns; it then continues on the next page.
pub(crate) const EXAMINED: usize = 10_000;

/// Schema versions of the SQLite file that came before documents.
const EARLIER_VERSIONS: usize = 1_007;

/// What brings the SQLite file from one version to the next. Appended to, never changed.
const MIGRATIONS: &[&str] = &[
    activity::sqlite::SCHEMA,
    OUTBOX,
    BY_AGGREGATE,
    OWN_IDS,
    RECEIPT_TABLE,
];

/// What is kept as documents.
const COLLECTIONS: Schema = &[
    Chosen::COLLECTION,
    Known::COLLECTION,
    Tally::COLLECTION,
    Incident::COLLECTION,
    Type::COLLECTION,
    Earlier::COLLECTION,
    Accepted::COLLECTION,
    Used::COLLECTION,
    Kept::COLLECTION,
    Stored::COLLECTION,
];

/// Where notify-svc keeps what it knows.
#[derive(Clone)]
pub struct Stores {
    /// The activity log.
    pub activity: Arc<dyn ActivityStore>,
    /// The desk of dead letters.
    pub dead_letters: DeadLetterStore,
    /// What is wrong.
    pub incidents: IncidentStore,
    /// Who can be written to.
    pub recipients: RecipientStore,
    /// Notifications.
    pub notifications: NotificationStore,
    /// How many mails went to whom about what.
    pub tallies: TallyStore,
    /// What users want.
    pub preferences: PreferenceStore,
    /// What administrators have saved of templates.
    pub templates: TemplateStore,
    /// Events that other programs have announced.
    pub intake: IntakeStore,
    /// What repeated requests were answered.
    pub receipts: Arc<dyn ReceiptStore>,
    /// What waits to be published.
    pub outbox: Arc<dyn OutboxStore>,
    /// Whether no other process can work on them at the same time.
    pub sole_owner: bool,
}

impl Stores {
    /// Opens or creates the SQLite file at `path`, which no other process may use at the
    /// same time. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, sqlite::StorageError> {
        let db = open(path)?;
        let documents = Documents::in_sqlite(db.clone());
        let activity = SqliteActivityStore::new(db);
        Ok(Self::of(documents, Arc::new(activity)))
    }

    /// Opens the MongoDB database `name`, usually [`DATABASE`].
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub async fn mongo(client: &mongo::Client, name: &str) -> Result<Self, mongo::StorageError> {
        // First: it says whether the database is of this version.
        let documents = Documents::mongo(client, name, COLLECTIONS).await?;
        let activity = MongoActivityStore::open(client, name).await?;
        Ok(Self::of(documents, Arc::new(activity)))
    }

    fn of(documents: Documents, activity: Arc<dyn ActivityStore>) -> Self {
        Self {
            activity,
            receipts: documents.receipts(),
            outbox: documents.outbox(),
            sole_owner: documents.sole_owner(),
            dead_letters: DeadLetterStore::new(documents.clone()),
            incidents: IncidentStore::new(documents.clone()),
            recipients: RecipientStore::new(documents.clone()),
            notifications: NotificationStore::new(documents.clone()),
            tallies: TallyStore::new(documents.clone()),
            preferences: PreferenceStore::new(documents.clone()),
            templates: TemplateStore::new(documents.clone()),
            intake: IntakeStore::new(documents),
        }
    }
}

/// Opens or creates the SQLite file that all stores share.
///
/// # Errors
/// If the file cannot be used.
pub(crate) fn open(path: &Path) -> Result<Database, sqlite::StorageError> {
    Database::open_with(path, "notify", |connection| {
        sqlite::migrate(connection, EARLIER_VERSIONS, MIGRATIONS)?;
        slipway_store::tables(connection, COLLECTIONS)
    })
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

impl From<slipway_store::StoreError> for StoreError {
    fn from(error: slipway_store::StoreError) -> Self {
        Self(error.to_string())
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
