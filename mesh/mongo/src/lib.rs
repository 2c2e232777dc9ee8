//! MongoDB: a client that confirms a write when it is on a majority of the replicas, one database
//! per service, and indexes declared in code.
//!
//! It uses only features that every compatible server has: atomic changes of one document, unique
//! and partial indexes, aggregation. No transactions, no change streams, no collations.
//!
//! The driver never sends an operation twice: `retryWrites` is off, because not every compatible
//! server recognises a repetition. A store must handle a write with unknown outcome itself; a guard
//! on a revision makes most of them harmless.

mod error;
mod index;
mod outage;
#[cfg(feature = "testing")]
pub mod testing;
mod writability;

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
pub use mongodb::{Client, bson};
use mongodb::{
    Collection,
    bson::{DateTime, doc},
    error::ErrorKind,
    options::{
        Acknowledgment, ClientOptions, ConnectionString, ReadConcern, ServerAddress, WriteConcern,
    },
};
use tokio::{sync::Mutex, time::Instant};

pub use error::StorageError;
pub use index::Index;

use slipway_runtime::life::{Check, Problem};
use writability::Writability;

/// A server that is not found within this time counts as unavailable: requests fail instead of
/// waiting.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Interval at which the driver checks the servers on its own. While operations are refused because
/// no server is available, nothing else detects that one is back.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Timeout for making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Timeout of an operation. The driver itself would wait for a silent server forever.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout for replicating a write. Below [`OPERATION_TIMEOUT`], so that the server gives up first.
const REPLICATION_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a process waits for the server at startup: the two may be started together.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// Interval between attempts during that time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Connections to each server. The default of 10 is too few for requests that wait for disks.
const CONNECTIONS: u32 = 32;

/// Connects to the server at `url` (`mongodb://` or `mongodb+srv://`); returns when the server has
/// answered.
///
/// # Errors
/// If the URL is malformed, the server refuses the credentials, or it does not answer within 15
/// seconds. The message contains no password.
pub async fn connect(url: &str) -> Result<Client, StorageError> {
    let mut options = ClientOptions::parse(url).await?;
    options.app_name.get_or_insert("slipway".into());
    options.server_selection_timeout = Some(SELECTION_TIMEOUT);
    options.connect_timeout = Some(CONNECT_TIMEOUT);
    options.heartbeat_freq.get_or_insert(HEARTBEAT);
    options.sdam_event_handler = Some(outage::observer());
    options.max_pool_size.get_or_insert(CONNECTIONS);
    options.retry_writes = Some(false);
    options.read_concern = Some(ReadConcern::majority());
    options.write_concern = Some(
        WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .w_timeout(REPLICATION_TIMEOUT)
            .build(),
    );
    let hosts: Vec<_> = options.hosts.iter().map(ServerAddress::to_string).collect();
    let client = Client::with_options(options)?;
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let Err(error) = ping(&client.database("admin")).await else {
            return Ok(client);
        };
        if error.is_refusal() || Instant::now() >= deadline {
            let (hosts, why) = (hosts.join(", "), reason(&error));
            return Err(StorageError::Unusable(format!(
                "MongoDB at {hosts} cannot be used: {why}"
            )));
        }
        tracing::info!(?hosts, error = reason(&error), "waiting for MongoDB");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Why a server is not found, for instance "Connection refused": the driver's message contains the
/// state of all servers.
fn reason(error: &StorageError) -> String {
    let message = error.to_string();
    let of_a_server = message.split_once("Error: Kind: ");
    match of_a_server.and_then(|(_, rest)| rest.split_once(", labels: ")) {
        Some((reason, _)) => reason.to_owned(),
        None => message,
    }
}

/// Whether `text` is a URL that [`connect`] accepts.
#[must_use]
pub fn is_url(text: &str) -> bool {
    ConnectionString::parse(text).is_ok()
}

/// The option in a URL that the driver does not know, if it refuses the URL for this reason.
#[must_use]
pub fn unknown_option(url: &str) -> Option<String> {
    let error = ConnectionString::parse(url).err()?;
    let ErrorKind::InvalidArgument { message, .. } = *error.kind else {
        return None;
    };
    let (option, _) = message.split_once(" is an invalid option")?;
    // With an `@` the URL is malformed, and this may be a part of a password.
    (!option.contains('@')).then(|| option.to_owned())
}

/// A service's database.
#[derive(Debug, Clone)]
pub struct Database {
    database: mongodb::Database,
    writability: Arc<Mutex<Writability>>,
}

impl Database {
    /// Opens the database `name` and builds those of `indexes` that are missing, which may take a
    /// while.
    ///
    /// # Errors
    /// If an index exists with another definition or cannot be built, or the server is unavailable.
    pub async fn open(
        client: &Client,
        name: &str,
        indexes: &[Index],
    ) -> Result<Self, StorageError> {
        let database = client.database(name);
        index::ensure(&database, indexes).await?;
        let writability = Arc::new(Mutex::new(Writability::new(Instant::now())));
        Ok(Self {
            database,
            writability,
        })
    }

    /// A collection of documents of type `T`.
    #[must_use]
    pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.database.collection(name)
    }
}

#[async_trait]
impl Check for Database {
    async fn check(&self) -> Result<(), Problem> {
        let ping = ping(&self.database).await;
        ping.map_err(|error| Problem::Away(error.to_string()))?;
        self.writability.lock().await.check(&self.database).await
    }
}

async fn ping(database: &mongodb::Database) -> Result<(), StorageError> {
    bounded(database.run_command(doc! { "ping": 1 }).into_future()).await?;
    Ok(())
}

/// Waits for an operation, at most until its timeout.
///
/// # Errors
/// The error of the operation; [`StorageError::Away`], if it was not begun; or
/// [`StorageError::Silent`], if its outcome is unknown.
pub async fn bounded<T>(
    operation: impl Future<Output = Result<T, mongodb::error::Error>>,
) -> Result<T, StorageError> {
    if outage::is_known() {
        return Err(StorageError::Away);
    }
    match tokio::time::timeout(OPERATION_TIMEOUT, operation).await {
        Ok(result) => result
            .map_err(StorageError::from)
            .inspect_err(writability::note),
        Err(_) => Err(StorageError::Silent),
    }
}

/// The stored form of a time: to the millisecond.
#[must_use]
pub fn to_bson(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.as_millisecond())
}

/// Reads a stored time.
///
/// # Errors
/// If it is out of range: the database was tampered with.
pub fn from_bson(time: DateTime) -> Result<Timestamp, StorageError> {
    Timestamp::from_millisecond(time.timestamp_millis()).map_err(malformed)
}

/// The error for a stored value that cannot be decoded: the database was tampered with.
pub fn malformed(error: impl std::fmt::Display) -> StorageError {
    StorageError::Unusable(format!("a stored document cannot be read: {error}"))
}
