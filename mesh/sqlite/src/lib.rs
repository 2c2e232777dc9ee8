//! SQLite: one writer thread that lets many writes share one `fsync`, and a pool of
//! readers beside it.
//!
//! The file is in WAL mode with `synchronous=FULL`: what [`Database::write`] has answered
//! survives a crash of the process and of the machine. Several [`Database`]s, also of
//! several processes, may be open on one file; SQLite serialises their writers.
//!
//! | module | |
//! | --- | --- |
//! | [`writer`] | the thread that writes |
//! | [`readers`] | the threads that read |
//! | [`error`] | what can go wrong, and which of it is the file's fault |
//! | [`writability`] | whether the file takes writes, for health checks |
//! | [`identity`] | whose file it is, and whether it is still there |
//! | [`commits`] | how many commits a file holds |
//! | [`wal`] | that no file is opened whose latest commits are elsewhere |
//! | [`migrations`] | changes of the schema |

pub mod commits;
mod error;
mod identity;
pub mod metrics;
mod migrations;
mod readers;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
mod wal;
mod writability;
mod writer;

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

pub use self::error::StorageError;
use self::{
    error::FileFault,
    identity::Presence,
    readers::Readers,
    wal::Wal,
    writer::{WeakWriter, Writer},
};
use slipway_runtime::life::{Check, Problem};

/// How long a write waits for another database handle's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements kept prepared on each connection.
const PREPARED_STATEMENTS: usize = 128;

/// The databases that this process has opened. One list for the process, like its metrics: who
/// ends the process need not know who has opened what.
static OPENED: Mutex<Vec<(&'static str, WeakWriter)>> = Mutex::new(Vec::new());

/// Ends the writing of every database that this process has open, once nothing is to be written
/// any more: each then is whole in its own file, and needs no `-wal` file. Says in the log of
/// which that is not so. Takes `limit` at most.
pub async fn close_all(limit: Duration) {
    let opened = std::mem::take(&mut *OPENED.lock());
    let writers = opened
        .iter()
        .filter_map(|(name, writer)| Some((name, writer.upgrade()?)));
    let closing = writers.map(|(name, writer)| async move {
        let problem = match tokio::time::timeout(limit, writer.close()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("not done within {limit:?}"),
        };
        tracing::warn!(store = name, problem, "database still needs its -wal file");
    });
    futures::future::join_all(closing).await;
}

/// A handle to one SQLite file.
#[derive(Clone)]
pub struct Database {
    writer: Writer,
    readers: Readers,
    /// That a reader found the file damaged. It does not pass.
    damage: Arc<OnceLock<Problem>>,
}

impl Database {
    /// Opens or creates the file at `path` and brings its schema up to date. `name` is the
    /// store's, in the file and in metrics. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be opened, is damaged, is of another store, needs a `-wal` file that is
    /// missing, or was made by a newer Slipway.
    pub fn open(
        path: &Path,
        name: &'static str,
        migrations: &'static [&'static str],
    ) -> Result<Self, StorageError> {
        Self::open_with(path, name, |c| migrations::apply(c, migrations))
    }

    /// Opens or creates the file at `path`, whose tables `prepare` makes. `name` is the store's,
    /// in the file and in metrics. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be opened, is of another store, or what `prepare` returned.
    pub fn open_with(
        path: &Path,
        name: &'static str,
        prepare: impl FnOnce(&mut Connection) -> Result<(), StorageError>,
    ) -> Result<Self, StorageError> {
        create_private(path).map_err(|error| unusable(path, &error))?;
        let mut wal = Wal::of(path)?;
        let open = || -> Result<Connection, StorageError> {
            let mut connection = connect(path, false)?;
            identity::check_owner(&connection, path, name)?;
            wal.opened(&connection)?;
            prepare(&mut connection)?;
            identity::note_owner(&connection, name)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| in_words(path, error))?;
        let presence = Presence::of(path)?;
        let damage = Arc::default();
        let database = Self {
            writer: Writer::start(connection, wal, presence, name)?,
            readers: Readers::open(path, name, &damage)?,
            damage,
        };
        let mut opened = OPENED.lock();
        opened.retain(|(_, writer)| writer.is_kept());
        opened.push((name, database.writer.downgrade()));
        Ok(database)
    }

    /// Ends writing: what waits is refused, and everything is left in the database file. Reading
    /// goes on.
    ///
    /// # Errors
    /// If the `-wal` file is still needed.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.writer.close().await
    }

    /// Runs `job` inside a transaction on the writer thread and answers when it is
    /// durable. Jobs of many callers share a commit; a job that returns an error leaves
    /// no trace and does not disturb the others.
    ///
    /// # Errors
    /// What `job` returned, or that the commit failed: then nothing of it is stored.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.writer.write(job).await
    }

    /// Runs `job` on a reader, on one consistent snapshot.
    ///
    /// # Errors
    /// What `job` returned, or that no reader can be had.
    pub async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.readers.read(job).await
    }
}

#[async_trait]
impl Check for Database {
    async fn check(&self) -> Result<(), Problem> {
        let read = self.read(|connection| {
            connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
                .map_err(StorageError::from)
        });
        let read = read.await;
        if let Some(damage) = self.damage.get() {
            return Err(damage.clone());
        }
        read.map_err(|error| match error.fault() {
            Some(fault) => fault.problem(&error),
            None => Problem::Away(error.to_string()),
        })?;
        self.writer.check().await
    }
}

fn connect(path: &Path, read_only: bool) -> Result<Connection, StorageError> {
    let access = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    };
    // One thread uses a connection at a time: SQLite need not lock it as well.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| unusable(path, &error))?;
    // See `wal`. First of all: a file that is refused stays as it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if !read_only {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
    }
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Without this SQLite prepares a statement anew at nearly every execution, because
    // another value of a parameter might ask for another plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    Ok(connection)
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> StorageError {
    StorageError::Unusable(format!("{} cannot be opened: {error}", path.display()))
}

/// What an operator can do about a file that is damaged from the start.
fn in_words(path: &Path, error: StorageError) -> StorageError {
    if error.fault() != Some(FileFault::Damaged) {
        return error;
    }
    StorageError::Unusable(format!(
        "{} is damaged or no database ({error}). Restore it from a backup, with the -wal file that \
         was made with it if there is one, and with no other",
        path.display()
    ))
}

/// The path of a file that SQLite or we put beside a database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes a new file readable by its owner only: it will hold password hashes. What SQLite
/// puts beside it gets the same permissions.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// A time as it is stored: milliseconds since the epoch, UTC.
#[must_use]
pub fn to_column(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// A stored time.
///
/// # Errors
/// If the number is no time: the file was tampered with.
pub fn from_column(millis: i64) -> Result<Timestamp, rusqlite::Error> {
    Timestamp::from_millisecond(millis).map_err(malformed)
}

/// The error for a stored value that cannot be read: the file was tampered with.
pub fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Null, Box::new(error))
}
