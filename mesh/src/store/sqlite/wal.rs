//! The `-wal` file beside the database, which holds the latest commits until they are copied
//! into it.
//!
//! Whoever copies the database file alone, of a process that runs or was killed, loses what is
//! in the `-wal` file; what is left may be old, empty or malformed, and SQLite cannot tell. So
//! the database file carries a mark in its header (SQLite's `application_id`): [`IN_USE`] from
//! the first write until [`Wal::complete`], which copies everything and sets [`COMPLETE`]. A
//! file that is in use and has no `-wal` file is not opened.
//!
//! SQLite itself copies everything and deletes the `-wal` file when the last connection is
//! closed. That is switched off for ours: it would leave a file that is marked as in use.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::StorageError;

/// The latest commits may be in the `-wal` file.
const IN_USE: i32 = i32::from_be_bytes(*b"SLWO");

/// Everything is in the database file.
const COMPLETE: i32 = i32::from_be_bytes(*b"SLWC");

/// Where SQLite's file format has the `application_id`.
const MARK_AT: usize = 68;

/// What is known of the mark of one database file.
#[derive(Debug)]
pub(super) struct Wal {
    /// Whether the file is marked as in use.
    in_use: bool,
}

impl Wal {
    /// Reads the mark of the file at `path`, before SQLite has opened it.
    ///
    /// # Errors
    /// If it is in use and its `-wal` file is missing, or it cannot be read.
    pub(super) fn of(path: &Path) -> Result<Self, StorageError> {
        let unreadable = |error| {
            StorageError::Unusable(format!("{} cannot be read: {error}", path.display()))
        };
        let in_use = mark(path).map_err(unreadable)? == Some(IN_USE);
        let wal = beside(path);
        if in_use && !wal.try_exists().map_err(unreadable)? {
            let (file, wal) = (path.display(), wal.display());
            return Err(StorageError::Unusable(format!(
                "{file} is incomplete: {wal}, which holds its latest changes, is missing. The \
                 process that wrote it did not stop cleanly before it was copied. Copy {wal} from \
                 where {file} came from, or restore a backup that was made after a clean stop; \
                 the README says more under \"Backup\""
            )));
        }
        Ok(Self { in_use })
    }

    /// Marks the file as in use, once something has been written. If a reader is in the way the
    /// mark does not arrive in the file: then the next write tries again.
    pub(super) fn written(&mut self, connection: &Connection) {
        if self.in_use {
            return;
        }
        let marked = set_mark(connection, IN_USE).and_then(|()| checkpoint(connection, "PASSIVE"));
        match marked {
            Ok(everything) => self.in_use = everything,
            Err(error) => tracing::debug!(%error, "a database could not be marked as in use"),
        }
    }

    /// Copies everything into the database file, and marks it as complete.
    ///
    /// # Errors
    /// If it cannot be written, or somebody still reads an older state: then it stays in use,
    /// and the `-wal` file is needed.
    pub(super) fn complete(&mut self, connection: &Connection) -> Result<(), StorageError> {
        truncate(connection)?;
        if self.in_use {
            // Only now: what is copied first must not say that the rest is there.
            set_mark(connection, COMPLETE)?;
            truncate(connection)?;
            self.in_use = false;
        }
        Ok(())
    }
}

/// The mark in the header of the file, if it has a header.
fn mark(path: &Path) -> std::io::Result<Option<i32>> {
    let mut header = Vec::new();
    let length = MARK_AT + size_of::<i32>();
    File::open(path)?
        .take(length as u64)
        .read_to_end(&mut header)?;
    let mark = header.get(MARK_AT..).and_then(|mark| mark.try_into().ok());
    Ok(mark.map(i32::from_be_bytes))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn set_mark(connection: &Connection, mark: i32) -> Result<(), StorageError> {
    Ok(connection.pragma_update(None, "application_id", mark)?)
}

/// Copies into the database file what it can; whether that was everything.
fn checkpoint(connection: &Connection, mode: &str) -> Result<bool, StorageError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let (busy, pages, copied): (bool, i64, i64) = connection.query_row(&sql, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(!busy && pages == copied)
}

fn truncate(connection: &Connection) -> Result<(), StorageError> {
    if checkpoint(connection, "TRUNCATE")? {
        Ok(())
    } else {
        Err(StorageError::Unusable(
            "the -wal file is still in use: it belongs to the database".into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::sqlite::Database;

    const SCHEMA: &[&str] = &["CREATE TABLE t (k INTEGER PRIMARY KEY)"];

    fn open(path: &Path) -> Result<Database, StorageError> {
        Database::open(path, "t", SCHEMA)
    }

    async fn insert(db: &Database, k: i64) {
        let insert = db.write(move |c| -> Result<(), StorageError> {
            c.execute("INSERT INTO t VALUES (?1)", [k])?;
            Ok(())
        });
        insert.await.unwrap();
    }

    async fn count(db: &Database) -> i64 {
        let count = db.read(|c| {
            let count = c.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
            count.map_err(StorageError::from)
        });
        count.await.unwrap()
    }

    /// Writes, and returns once the file is marked.
    async fn used(path: &Path) -> Database {
        let db = open(path).unwrap();
        insert(&db, 1).await;
        // The mark follows the answer; the writer takes the next job when it is there.
        insert(&db, 2).await;
        assert_eq!(mark(path).unwrap(), Some(IN_USE));
        db
    }

    /// The database file alone, as somebody copies it who does not know of the other.
    fn copied(path: &Path, dir: &Path) -> PathBuf {
        let copy = dir.join("copy.db");
        fs::copy(path, &copy).unwrap();
        copy
    }

    #[tokio::test]
    async fn after_it_is_closed_the_database_file_is_everything() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let db = used(&path).await;
        db.close().await.unwrap();
        assert_eq!(fs::metadata(beside(&path)).unwrap().len(), 0);
        assert_eq!(mark(&path).unwrap(), Some(COMPLETE));
        let copy = open(&copied(&path, dir.path())).unwrap();
        assert_eq!(count(&copy).await, 2);
        // And so is the original when it is opened again.
        drop(db);
        let again = open(&path).unwrap();
        insert(&again, 3).await;
        assert_eq!(count(&again).await, 3);
    }

    #[tokio::test]
    async fn a_file_in_use_without_its_log_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let _running = used(&path).await;
        let copy = copied(&path, dir.path());
        let refused = open(&copy).err().unwrap().to_string();
        for word in ["incomplete", "copy.db-wal", "missing", "backup"] {
            assert!(refused.contains(word), "{word} is not in: {refused}");
        }
        // With both files it is whole.
        fs::copy(beside(&path), beside(&copy)).unwrap();
        assert_eq!(count(&open(&copy).unwrap()).await, 2);
    }

    #[tokio::test]
    async fn what_was_only_read_needs_no_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        used(&path).await.close().await.unwrap();
        let db = open(&path).unwrap();
        assert_eq!(count(&db).await, 2);
        let copy = open(&copied(&path, dir.path())).unwrap();
        assert_eq!(count(&copy).await, 2);
    }

    #[tokio::test]
    async fn a_closed_database_takes_no_more_writes() {
        let dir = tempfile::tempdir().unwrap();
        let db = used(&dir.path().join("t.db")).await;
        db.close().await.unwrap();
        let late = db.write(|_| Ok::<_, StorageError>(())).await;
        assert!(matches!(late, Err(StorageError::Gone)), "{late:?}");
        db.close().await.unwrap();
    }
}
