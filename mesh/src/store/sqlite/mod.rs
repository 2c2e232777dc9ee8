//! SQLite: one writer thread that lets many writes share one `fsync`, and a pool of
//! readers beside it.
//!
//! The file is in WAL mode with `synchronous=FULL`: what [`Database::write`] has answered
//! survives a crash of the process and of the machine. Several [`Database`]s, also of
//! several processes, may be open on one file; SQLite serialises their writers.

mod migrations;
mod readers;
#[cfg(feature = "testing")]
pub mod testing;
mod writer;

use std::{fs::OpenOptions, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use self::{readers::Readers, writer::Writer};
use crate::{error::Fault, life::Check};

/// How long a write waits for another database handle's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements kept prepared on each connection.
const PREPARED_STATEMENTS: usize = 128;

/// The database did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// SQLite said no.
    #[error("SQLite: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// The file cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The writer has ended, or the job panicked.
    #[error("the database writer is gone")]
    Gone,
}

impl StorageError {
    /// The unique constraint or index that refused a write, as SQLite names it (its
    /// columns: `users.username_key`), if that is what happened.
    #[must_use]
    pub fn unique_violation(&self) -> Option<&str> {
        let Self::Sqlite(error) = self else {
            return None;
        };
        match error.as_ref() {
            rusqlite::Error::SqliteFailure(failure, Some(message))
                if failure.code == ErrorCode::ConstraintViolation =>
            {
                message
                    .split_once("UNIQUE constraint failed: ")
                    .map(|(_, columns)| columns)
            }
            _ => None,
        }
    }
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Fault::unavailable("The database", error)
    }
}

/// Brings the schema of a file up to date: the n-th migration brings it from version n-1
/// to n.
///
/// # Errors
/// If a newer Slipway made the file, or a migration fails.
pub fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), StorageError> {
    migrations::apply(connection, migrations)
}

/// A handle to one SQLite file.
#[derive(Clone)]
pub struct Database {
    writer: Writer,
    readers: Readers,
}

impl Database {
    /// Opens or creates the file at `path` and brings its schema up to date. `name`
    /// stands in metrics. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be opened, or a newer Slipway made it.
    pub fn open(
        path: &Path,
        name: &'static str,
        migrations: &'static [&'static str],
    ) -> Result<Self, StorageError> {
        Self::open_with(path, name, |c| migrations::apply(c, migrations))
    }

    /// Opens or creates the file at `path`, whose tables `prepare` makes. `name` stands in
    /// metrics. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be opened, or what `prepare` returned.
    pub fn open_with(
        path: &Path,
        name: &'static str,
        prepare: impl FnOnce(&mut Connection) -> Result<(), StorageError>,
    ) -> Result<Self, StorageError> {
        create_private(path).map_err(|error| unusable(path, &error))?;
        let mut connection = connect(path, false)?;
        prepare(&mut connection)?;
        Ok(Self {
            writer: Writer::start(connection, name)?,
            readers: Readers::open(path, name)?,
        })
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
    async fn check(&self) -> Result<(), String> {
        let read = self.read(|connection| {
            connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
                .map_err(StorageError::from)
        });
        read.await.map_err(|error| error.to_string())?;
        self.write(|_| Ok::<_, StorageError>(()))
            .await
            .map_err(|error| error.to_string())
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

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    const SCHEMA: &[&str] = &["CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT NOT NULL UNIQUE)"];

    fn insert(k: i64, v: &'static str) -> impl FnOnce(&Connection) -> Result<(), StorageError> {
        move |connection| {
            connection.execute("INSERT INTO t (k, v) VALUES (?1, ?2)", (k, v))?;
            Ok(())
        }
    }

    async fn count(db: &Database) -> i64 {
        db.read(|c| {
            c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
                .map_err(StorageError::from)
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_refused_job_leaves_no_trace_and_spares_its_neighbours() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
        let jobs = (0..20).map(|k| {
            let db = db.clone();
            async move {
                db.write(move |c| {
                    c.execute("INSERT INTO t VALUES (?1, ?2)", (k, format!("v{k}")))?;
                    if k % 2 == 0 {
                        return Err(StorageError::Unusable("refused".into()));
                    }
                    Ok(())
                })
                .await
            }
        });
        let results = join_all(jobs).await;
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 10);
        assert_eq!(count(&db).await, 10);
    }

    #[tokio::test]
    async fn a_panicking_job_fails_alone() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
        let panicked = db
            .write(|c| -> Result<(), StorageError> {
                c.execute("INSERT INTO t VALUES (1, 'a')", [])?;
                panic!("boom")
            })
            .await;
        assert!(matches!(panicked, Err(StorageError::Gone)));
        db.write(insert(2, "b")).await.unwrap();
        assert_eq!(count(&db).await, 1);
    }

    #[tokio::test]
    async fn a_panicking_read_fails_alone() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
        for _ in 0..20 {
            let panicked = db
                .read(|_| -> Result<(), StorageError> { panic!("boom") })
                .await;
            assert!(matches!(panicked, Err(StorageError::Gone)));
        }
        assert_eq!(count(&db).await, 0);
    }

    #[tokio::test]
    async fn a_unique_violation_names_its_columns() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
        db.write(insert(1, "a")).await.unwrap();
        let error = db.write(insert(2, "a")).await.unwrap_err();
        assert_eq!(error.unique_violation(), Some("t.v"));
        let error = db.write(insert(1, "b")).await.unwrap_err();
        assert_eq!(error.unique_violation(), Some("t.k"));
    }

    #[tokio::test]
    async fn two_handles_on_one_file_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let (a, b) = (
            Database::open(&path, "a", SCHEMA).unwrap(),
            Database::open(&path, "b", SCHEMA).unwrap(),
        );
        let jobs = (0..100).map(|k| {
            let db = if k % 2 == 0 { a.clone() } else { b.clone() };
            async move {
                db.write(move |c| {
                    c.execute("INSERT INTO t VALUES (?1, ?2)", (k, format!("v{k}")))
                        .map_err(StorageError::from)
                })
                .await
            }
        });
        for result in join_all(jobs).await {
            result.unwrap();
        }
        assert_eq!(count(&a).await, 100);
    }

    #[test]
    fn a_file_of_a_newer_version_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        drop(Database::open(&path, "t", SCHEMA).unwrap());
        let error = Database::open(&path, "t", &[]).err().unwrap();
        assert!(error.to_string().contains("newer"), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn its_files_are_its_owners_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
        db.write(insert(1, "a")).await.unwrap();
        let mut files = 0;
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            files += 1;
        }
        assert_eq!(files, 3, "the database, its log and the log's index");
    }

    #[test]
    fn a_file_that_is_no_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        std::fs::write(&path, "this is a letter, not a database").unwrap();
        assert!(Database::open(&path, "t", SCHEMA).is_err());
    }
}
