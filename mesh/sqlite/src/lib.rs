//! SQLite: one writer thread, which lets many writes share one `fsync`, and a pool of reader
//! threads.
//!
//! The file is in WAL mode with `synchronous=FULL`: a write that [`Database::write`] has confirmed
//! survives a crash of the process and of the machine. Several [`Database`]s, also in several
//! processes, may have one file open; SQLite serialises their writers.
//!
//! | module | |
//! | --- | --- |
//! | [`writer`] | the thread that writes |
//! | [`readers`] | the threads that read |
//! | [`error`] | errors, and which of them are faults of the file |
//! | [`writability`] | whether the file is writable, for health checks |
//! | [`identity`] | which store a file belongs to, and whether it is still at its path |
//! | [`commits`] | the number of commits in a file |
//! | [`wal`] | refuses to open a file whose latest commits are missing |
//! | [`migrations`] | schema changes |
//! | [`backup`] | copies of databases in use |

pub mod backup;
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

use self::{
    error::FileFault,
    identity::Presence,
    readers::Readers,
    wal::Wal,
    writer::{WeakWriter, Writer},
};
pub use self::{
    error::StorageError,
    identity::{id, owner},
};
use slipway_runtime::life::{Check, Problem};

/// How long a write waits for a write through another database handle.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements cached per connection.
const PREPARED_STATEMENTS: usize = 128;

/// The databases that this process has opened. Global, like its metrics: the code that ends the
/// process need not know the code that opened them.
static OPENED: Mutex<Vec<(&'static str, WeakWriter)>> = Mutex::new(Vec::new());

/// Closes the writers of all databases that this process has open. Call it when nothing is written
/// any more: afterwards each database is complete in its own file and needs no `-wal` file. Logs
/// each one for which this failed. Takes at most `limit`.
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
    /// `None` if it was opened for reading only.
    writer: Option<Writer>,
    readers: Readers,
    /// Set when a reader has found the file damaged. This is permanent.
    damage: Arc<OnceLock<Problem>>,
}

impl Database {
    /// Opens or creates the file at `path` and migrates its schema. `name` is the name of the
    /// store, in the file and in metrics. Blocks: call it at startup.
    ///
    /// # Errors
    /// If the file cannot be opened, is damaged, belongs to another store, needs a `-wal` file that
    /// is missing, or was created by a newer version of Slipway.
    pub fn open(
        path: &Path,
        name: &'static str,
        migrations: &'static [&'static str],
    ) -> Result<Self, StorageError> {
        Self::open_with(path, name, |c| migrations::apply(c, migrations))
    }

    /// Opens or creates the file at `path`; `prepare` creates its tables. `name` is the name of the
    /// store, in the file and in metrics. Blocks: call it at startup.
    ///
    /// # Errors
    /// If the file cannot be opened, or belongs to another store; or the error of `prepare`.
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
        let writer = Writer::start(connection, wal, presence, name)?;
        let mut opened = OPENED.lock();
        opened.retain(|(_, writer)| writer.is_kept());
        opened.push((name, writer.downgrade()));
        Ok(Self {
            writer: Some(writer),
            readers: Readers::open(path, name, &damage)?,
            damage,
        })
    }

    /// Opens the existing file at `path` for reading only, also while another process writes to it.
    /// Every write is refused. `name` is the name of the store in the file. Blocks.
    ///
    /// # Errors
    /// If there is no such file, it cannot be opened, or it belongs to another store.
    pub fn open_read_only(path: &Path, name: &'static str) -> Result<Self, StorageError> {
        if !path.is_file() {
            let text = format!("there is no database {}", path.display());
            return Err(StorageError::Unusable(text));
        }
        let damage = Arc::default();
        let open = || {
            identity::check_owner(&connect(path, true)?, path, name)?;
            Readers::open(path, name, &damage)
        };
        let readers = open().map_err(|error| in_words(path, error))?;
        Ok(Self {
            writer: None,
            readers,
            damage,
        })
    }

    fn writer(&self) -> Result<&Writer, StorageError> {
        let refusal = || StorageError::Unusable("the database was opened for reading only".into());
        self.writer.as_ref().ok_or_else(refusal)
    }

    /// Ends writing: waiting writes are refused, and all commits are copied into the database file.
    /// Reading continues to work.
    ///
    /// # Errors
    /// If the `-wal` file is still needed.
    pub async fn close(&self) -> Result<(), StorageError> {
        match &self.writer {
            Some(writer) => writer.close().await,
            None => Ok(()),
        }
    }

    /// Runs `job` inside a transaction on the writer thread and returns when it is durable. Jobs of
    /// many callers share a commit; a job that returns an error is rolled back and does not affect
    /// the others.
    ///
    /// # Errors
    /// The error of `job`, or of the commit: then nothing is stored.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.writer()?.write(job).await
    }

    /// Runs `job` on a reader, on one consistent snapshot.
    ///
    /// # Errors
    /// The error of `job`, or that no reader is available.
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
        match &self.writer {
            Some(writer) => writer.check().await,
            None => Ok(()),
        }
    }
}

fn connect(path: &Path, read_only: bool) -> Result<Connection, StorageError> {
    let access = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    };
    // Only one thread uses a connection at a time, so SQLite need not lock it.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| unusable(path, &error))?;
    // See `wal`. This comes first, so that a refused file stays unchanged.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if !read_only {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
    }
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Otherwise SQLite would prepare a statement again at nearly every execution, because another
    // parameter value might require another plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    Ok(connection)
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> StorageError {
    StorageError::Unusable(format!("{} cannot be opened: {error}", path.display()))
}

/// Explains to an operator what to do about a file that is damaged when it is opened.
fn in_words(path: &Path, error: StorageError) -> StorageError {
    if error.fault() != Some(FileFault::Damaged) {
        return error;
    }
    StorageError::Unusable(format!(
        "{} is damaged or not a database ({error}). Restore it from a backup, with the -wal file that \
         was made with it if there is one, and with no other",
        path.display()
    ))
}

/// The path of a file that belongs to a database and is next to it.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Creates a file that only its owner can read: it will contain password hashes. SQLite gives its
/// own additional files the same permissions.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// The stored form of a time: milliseconds since the epoch, UTC.
#[must_use]
pub fn to_column(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// Reads a stored time.
///
/// # Errors
/// If the number is out of range: the file was tampered with.
pub fn from_column(millis: i64) -> Result<Timestamp, rusqlite::Error> {
    Timestamp::from_millisecond(millis).map_err(malformed)
}

/// The error for a stored value that cannot be decoded: the file was tampered with.
pub fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Null, Box::new(error))
}
