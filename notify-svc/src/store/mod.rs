//! The database and its collections, errors and bounded searches, shared by the stores of all
//! features.

pub(crate) mod search;
pub(crate) mod sequence;
#[cfg(test)]
pub(crate) mod testing;

use std::{path::Path, sync::Arc};

use slipway_bus::consumer::Failure;
use slipway_mongo as mongo;
use slipway_rpc::error::Fault;
use slipway_sqlite as sqlite;
use slipway_store::{Document as _, Documents, Schema};
use slipway_store::{outbox::OutboxStore, receipts::ReceiptStore};

use crate::{
    activity::store::{ActivityStore, StoredEntry},
    audit::{Entry, store::AuditStore},
    dead_letters::store::{DeadLetterStore, StoredDeadLetter},
    incidents::{Incident, store::IncidentStore},
    notification::{
        Tally,
        gathering::store::TallyStore,
        intake::{
            AcceptedEvent,
            store::{IntakeStore, SenderUsage},
        },
        preferences::store::{PreferenceStore, SavedPreferences},
        recipients::store::{RecipientStore, StoredRecipient},
        store::{NotificationStore, Stored},
        templates::store::{Earlier, TemplateStore, Type},
    },
    reading::store::{ReadingStore, StoredPosition},
    statistics::{
        answers::StoredAnswer,
        store::{Position, StatisticsStore, StoredDay, StoredHour},
    },
};

/// The MongoDB database of this service.
pub const DATABASE: &str = "slipway_notify";

/// The name of this service's store in an SQLite file.
pub(crate) const NAME: &str = "notify";

/// A page ends early when the texts of its items are larger than this, so that it stays below the 4
/// MiB that gRPC clients accept by default. An activity has at most 100 KiB: two tasks with their
/// descriptions.
pub(crate) const PAGE_WEIGHT: usize = 2 * 1024 * 1024;

/// Maximum number of items examined for one page. Only a combination of conditions examines more
/// than it returns; the search then continues on the next page.
pub(crate) const EXAMINED: usize = 10_000;

/// All collections.
pub const COLLECTIONS: Schema = &[
    SavedPreferences::COLLECTION,
    StoredRecipient::COLLECTION,
    Tally::COLLECTION,
    Incident::COLLECTION,
    Type::COLLECTION,
    Earlier::COLLECTION,
    AcceptedEvent::COLLECTION,
    SenderUsage::COLLECTION,
    StoredDeadLetter::COLLECTION,
    Stored::COLLECTION,
    StoredEntry::COLLECTION,
    Entry::COLLECTION,
    StoredPosition::COLLECTION,
    StoredAnswer::COLLECTION,
    StoredDay::COLLECTION,
    StoredHour::COLLECTION,
    Position::COLLECTION,
];

/// The stores of notify-svc.
#[derive(Clone)]
pub struct Stores {
    /// The database.
    pub documents: Documents,
    /// The activity log.
    pub activity: ActivityStore,
    /// The audit trail.
    pub audit: AuditStore,
    /// Dead letters.
    pub dead_letters: DeadLetterStore,
    /// Incidents.
    pub incidents: IncidentStore,
    /// The users and their addresses.
    pub recipients: RecipientStore,
    /// Notifications.
    pub notifications: NotificationStore,
    /// Counts of recent mails, for gathering.
    pub tallies: TallyStore,
    /// The preferences of users.
    pub preferences: PreferenceStore,
    /// The templates that administrators have saved.
    pub templates: TemplateStore,
    /// Events that other programs have announced.
    pub intake: IntakeStore,
    /// How far users have read.
    pub reading: ReadingStore,
    /// Statistics, with the log of the assistant's answers.
    pub statistics: StatisticsStore,
    /// Idempotency receipts.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Events waiting to be published.
    pub outbox: Arc<dyn OutboxStore>,
    /// Whether no other process can use the database at the same time.
    pub sole_owner: bool,
}

impl Stores {
    /// Opens or creates the SQLite file at `path`. No other process may use it at the same time.
    /// Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, sqlite::StorageError> {
        Ok(Self::of(open(path)?))
    }

    /// Opens the MongoDB database `name`, usually [`DATABASE`].
    ///
    /// # Errors
    /// If the server is unreachable, an index exists with a different definition, or the database
    /// was written by a version without documents.
    pub async fn mongo(client: &mongo::Client, name: &str) -> Result<Self, mongo::StorageError> {
        let documents = Documents::mongo(client, name, COLLECTIONS).await?;
        Ok(Self::of(documents))
    }

    fn of(documents: Documents) -> Self {
        Self {
            activity: ActivityStore::new(documents.clone()),
            audit: AuditStore::new(documents.clone()),
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
            intake: IntakeStore::new(documents.clone()),
            reading: ReadingStore::new(documents.clone()),
            statistics: StatisticsStore::new(documents.clone()),
            documents,
        }
    }
}

/// Opens or creates the SQLite file for all stores.
///
/// # Errors
/// If the file cannot be used.
pub(crate) fn open(path: &Path) -> Result<Documents, sqlite::StorageError> {
    Documents::sqlite(path, NAME, COLLECTIONS)
}

/// The database failed, or the data could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database's reason.
    #[error(transparent)]
    Database(#[from] slipway_store::StoreError),
    /// Other writers were faster in every try.
    #[error("other writers were faster {0} times")]
    Contended(usize),
    /// The database did not answer in time.
    #[error("no answer in time")]
    TooSlow,
    /// A notification cannot be rendered.
    #[error("a notification cannot be rendered: {0}")]
    Untold(#[from] crate::notification::templates::RenderError),
}

/// A consumer retries: it can store when the database is available again.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Transient(error.to_string())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(error) => error.into(),
            error => Fault::unavailable("The notification service's database", error),
        }
    }
}
