//! Copies databases while other handles, also of other processes, use them.
//!
//! All copies show one moment. [`Moment::of`] waits for the running commit of each database and
//! holds the next one back, until it has a read snapshot of every database; that takes
//! milliseconds. So the copies are what a crash at that moment would have left: whatever was
//! confirmed before is in them, and no database is ahead of another. The databases are copied
//! from the snapshots afterwards, while writing goes on.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
    config::DbConfig,
};

use super::{StorageError, commits::Commits, in_words, unusable, wal::field};

/// Pages that are copied before [`Moment::copy`] asks whether to go on.
const STEP: i32 = 256;

/// Pause between attempts to hold a database back. It is short, because a writer under load leaves
/// only a moment between two commits.
const ATTEMPT_EVERY: Duration = Duration::from_micros(100);

/// Maximum number of attempts, which take at least 10 seconds.
const ATTEMPTS: i32 = 100_000;

/// Read snapshots of several databases, all of one moment.
///
/// While it exists, the `-wal` files grow, because SQLite cannot begin them again.
pub struct Moment(Vec<(PathBuf, Connection)>);

impl Moment {
    /// Takes the snapshots of the databases at these paths. Blocks. Two calls for the same
    /// databases must name them in the same order.
    ///
    /// # Errors
    /// If a database cannot be opened, or another program keeps it locked.
    pub fn of(paths: &[PathBuf]) -> Result<Self, StorageError> {
        let held = paths.iter().map(|path| hold(path));
        // Dropped at the end, which lets the writers go on.
        let _held = held.collect::<Result<Vec<_>, _>>()?;
        let snapshots = paths.iter().map(|path| {
            let snapshot = snapshot(path).map_err(|error| in_words(path, error))?;
            Ok((path.clone(), snapshot))
        });
        Ok(Self(snapshots.collect::<Result<_, StorageError>>()?))
    }

    /// Copies the databases into the directory `to`, under the names that they have, and checks
    /// each copy. The copies are durable and complete in their files. Blocks. Stops when
    /// `goes_on` says so.
    ///
    /// # Errors
    /// If a copy exists already, cannot be written, or is damaged as its database is; or if it was
    /// stopped. Then what was copied is of no use.
    pub fn copy(&self, to: &Path, goes_on: &dyn Fn() -> bool) -> Result<(), StorageError> {
        for (path, snapshot) in &self.0 {
            let name = path.file_name().unwrap_or_default();
            copy(snapshot, path, &to.join(name), goes_on)?;
        }
        Ok(())
    }
}

/// Holds back the next commit of the database at `path`, as long as the connection exists.
fn hold(path: &Path) -> Result<Connection, StorageError> {
    let mut connection = open(path)?;
    connection.busy_handler(Some(|attempt| {
        thread::sleep(ATTEMPT_EVERY);
        attempt < ATTEMPTS
    }))?;
    let held = connection.execute_batch("BEGIN IMMEDIATE");
    held.map_err(|error| in_words(path, error.into()))?;
    Ok(connection)
}

/// A connection that sees the database at `path` as it is now.
fn snapshot(path: &Path) -> Result<Connection, StorageError> {
    let connection = open(path)?;
    connection.execute_batch("BEGIN")?;
    // The transaction begins with the first statement that reads.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Opens a database that exists, and leaves its files as they are when it is closed.
fn open(path: &Path) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags);
    let connection = connection.map_err(|error| unusable(path, &error))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn copy(
    source: &Connection,
    path: &Path,
    to: &Path,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), StorageError> {
    let unwritable = |error: io::Error| {
        StorageError::Unusable(format!("{} cannot be written: {error}", to.display()))
    };
    let mut private = OpenOptions::new();
    private.write(true).create_new(true).mode(0o600);
    let file = private.open(to).map_err(unwritable)?;
    let mut copy = open(to)?;
    let filled = fill(&mut copy, source, goes_on);
    let is_filled = filled.map_err(|error| {
        StorageError::Unusable(format!(
            "{} cannot be written from {}: {error}",
            to.display(),
            path.display()
        ))
    })?;
    if !is_filled {
        return Err(StorageError::Unusable("the backup was stopped".into()));
    }
    let found: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        let path = path.display();
        let message = format!("{path} is damaged, and so is a copy of it: {found}");
        return Err(StorageError::Unusable(message));
    }
    drop(copy);
    file.sync_all().map_err(unwritable)
}

/// Copies everything from `source`; returns `false` if `goes_on` said no.
fn fill(
    copy: &mut Connection,
    source: &Connection,
    goes_on: &dyn Fn() -> bool,
) -> Result<bool, StorageError> {
    // An unfinished copy is of no use anyway.
    copy.pragma_update(None, "journal_mode", "OFF")?;
    copy.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(source, copy)?;
    while backup.step(STEP)? != StepResult::Done {
        if !goes_on() {
            return Ok(false);
        }
    }
    drop(backup);
    // The copy needs no `-wal` file, and says so.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    let last = Commits::from_field(field(copy)?);
    copy.pragma_update(None, "application_id", last.field(true))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::{Database, commits};

    const SCHEMA: &[&str] = &["CREATE TABLE t (k INTEGER PRIMARY KEY)"];

    async fn insert(database: &Database, k: i64) {
        let insert = database.write(move |c| -> Result<(), StorageError> {
            c.execute("INSERT INTO t VALUES (?1)", [k])?;
            Ok(())
        });
        insert.await.unwrap();
    }

    /// The greatest key, and the number of keys.
    async fn content(database: &Database) -> (i64, i64) {
        let read = database.read(|c| {
            let sql = "SELECT ifnull(max(k), 0), count(*) FROM t";
            let row = c.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
            row.map_err(StorageError::from)
        });
        read.await.unwrap()
    }

    /// A writer inserts each number into the first database and then into the second. A copy of
    /// one moment never has a number only in the second, nor two of them only in the first.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_copies_show_one_moment_while_writing_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a.db", "b.db"].map(|name| dir.path().join(name));
        let first = Database::open(&paths[0], "a", SCHEMA).unwrap();
        let second = Database::open(&paths[1], "b", SCHEMA).unwrap();
        let stopped = std::sync::Arc::new(AtomicBool::new(false));
        let stop = stopped.clone();
        // A database without a commit has no number that says that it is complete.
        insert(&first, 1).await;
        insert(&second, 1).await;
        let writing = tokio::spawn(async move {
            let mut written = 1;
            while !stop.load(Ordering::Relaxed) {
                written += 1;
                insert(&first, written).await;
                insert(&second, written).await;
            }
            written
        });
        let mut before = 0;
        for n in 0..5 {
            let to = dir.path().join(n.to_string());
            std::fs::create_dir(&to).unwrap();
            let (paths, into) = (paths.to_vec(), to.clone());
            let copying =
                tokio::task::spawn_blocking(move || Moment::of(&paths)?.copy(&into, &|| true));
            copying.await.unwrap().unwrap();
            for name in ["a.db", "b.db"] {
                assert!(commits::is_complete(&to.join(name)).unwrap());
            }
            let a = Database::open(&to.join("a.db"), "a", SCHEMA).unwrap();
            let b = Database::open(&to.join("b.db"), "b", SCHEMA).unwrap();
            let ((a, in_a), (b, in_b)) = (content(&a).await, content(&b).await);
            assert!((b..=b + 1).contains(&a), "{a} {b}");
            assert_eq!((a, b), (in_a, in_b));
            assert!(a >= before, "{a} {before}");
            before = a;
        }
        stopped.store(true, Ordering::Relaxed);
        assert!(writing.await.unwrap() >= before);
    }

    #[tokio::test]
    async fn a_copy_that_is_stopped_or_there_already_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let database = Database::open(&path, "a", SCHEMA).unwrap();
        let fill = database.write(|c| -> Result<(), StorageError> {
            c.execute_batch("CREATE TABLE b (v BLOB); INSERT INTO b VALUES (zeroblob(8000000))")?;
            Ok(())
        });
        fill.await.unwrap();
        let to = dir.path().join("to");
        std::fs::create_dir(&to).unwrap();
        let moment = Moment::of(std::slice::from_ref(&path)).unwrap();
        let stopped = moment.copy(&to, &|| false).unwrap_err();
        assert_eq!(stopped.to_string(), "the backup was stopped");
        let again = moment.copy(&to, &|| true).unwrap_err().to_string();
        assert!(again.contains("a.db cannot be written"), "{again}");
        assert!(Moment::of(&[dir.path().join("b.db")]).is_err());
    }
}
