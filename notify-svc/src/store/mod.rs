//! What the stores of all features share: the database and its collections, errors, bounded
//! searches.

pub(crate) mod search;
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

/// What is kept.
const COLLECTIONS: Schema = &[
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
];

/// Where notify-svc keeps what it knows.
#[derive(Clone)]
pub struct Stores {
    /// All of what is kept.
    pub documents: Documents,
    /// The activity log.
    pub activity: ActivityStore,
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
        Ok(Self::of(open(path)?))
    }

    /// Opens the MongoDB database `name`, usually [`DATABASE`].
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
            activity: ActivityStore::new(documents.clone()),
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
            documents,
        }
    }
}

/// Opens or creates the SQLite file that all stores share.
///
/// # Errors
/// If the file cannot be used.
pub(crate) fn open(path: &Path) -> Result<Documents, sqlite::StorageError> {
    Documents::sqlite(path, "notify", COLLECTIONS)
}

/// The database did not answer, or not with what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database's reason.
    #[error(transparent)]
    Database(#[from] slipway_store::StoreError),
    /// Others were faster every time.
    #[error("others were faster {0} times")]
    Contended(usize),
    /// It did not answer in time.
    #[error("no answer in time")]
    TooSlow,
    /// What is stored cannot be told.
    #[error("a notification cannot be made: {0}")]
    Untold(#[from] crate::notification::templates::RenderError),
}

/// To a consumer: what it stores is stored when the database is back.
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
