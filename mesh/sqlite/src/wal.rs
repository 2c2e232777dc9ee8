//! The `-wal` file beside the database, which holds the latest commits until they are copied
//! into it.
//!
//! Whoever copies the database file alone, of a process that runs or was killed, loses what is
//! in the `-wal` file; what is left may be old, empty or malformed, and SQLite cannot tell. So
//! each commit of the writer has a number, in a field of the database's header that SQLite leaves
//! to applications (`application_id`), and the last number is also written into a `-commits` file
//! beside it. [`Wal::complete`] copies everything into the database file and sets the number to 0.
//!
//! A database file with a number that has no `-wal` file is opened only if the `-commits` file
//! says that it was the last number. So it is where another program has opened and closed the
//! database: SQLite then copies everything and deletes the `-wal` file. (For our connections that
//! is switched off: it would leave a file with a number.) The `-commits` file is also held against
//! what is found in the `-wal` file: one that was emptied or cut short lacks numbers. And it knows
//! the `-wal` file by its [`Salts`], so that one of another database is refused before SQLite reads
//! from it: what it holds would take the place of what is in the database.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{StorageError, beside};

/// Where SQLite's file format has the `application_id`.
const NUMBER_AT: usize = 68;

/// Where the header of a `-wal` file has its salts.
const SALTS_AT: u64 = 16;

/// How often SQLite may have begun a `-wal` file anew since its salts were noted: a crash of the
/// machine can take the latest notes.
const RESTARTS: u32 = 1 << 16;

/// What SQLite chooses for each `-wal` file: two random numbers. When everything is copied and it
/// begins the file anew, the first is one more and the second is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Salts(u32, u32);

impl Salts {
    /// Of the `-wal` file at `path`; `None` if nothing is in it.
    fn of(path: &Path) -> Option<Self> {
        let mut bytes = [0; 8];
        let file = File::open(path).ok()?;
        file.read_exact_at(&mut bytes, SALTS_AT).ok()?;
        let (first, second) = bytes.split_first_chunk()?;
        let second = second.first_chunk()?;
        Some(Self(
            u32::from_be_bytes(*first),
            u32::from_be_bytes(*second),
        ))
    }

    /// Whether a file with these salts can have become one with `later`.
    fn may_become(self, later: Self) -> bool {
        self == later || (1..=RESTARTS).contains(&later.0.wrapping_sub(self.0))
    }
}

/// What a `-commits` file says.
struct Noted {
    number: i32,
    /// `None`: an earlier version wrote it.
    salts: Option<Salts>,
}

impl Noted {
    /// In the file at `path`, if there is one that can be read.
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let mut parts = text.split_whitespace();
        let number = parts.next()?.parse().ok()?;
        let mut salt = || u32::from_str_radix(parts.next()?, 16).ok();
        Some(Self {
            number,
            salts: salt()
                .zip(salt())
                .map(|(first, second)| Salts(first, second)),
        })
    }
}

/// The numbers of one database file.
#[derive(Debug)]
pub(super) struct Wal {
    /// Of the last commit; 0 if there is nothing that could be missing.
    last: i32,
    /// Whether the database file itself has a number.
    is_numbered: bool,
    /// Beside the database file.
    wal: PathBuf,
    /// Beside the database file: the last number, and the salts of the `-wal` file.
    commits: PathBuf,
    /// That file, once it is open.
    file: Option<File>,
}

impl Wal {
    /// Looks at the file at `path`, before SQLite has opened it.
    ///
    /// # Errors
    /// If its latest commits are missing, or it cannot be read.
    pub(super) fn of(path: &Path) -> Result<Self, StorageError> {
        let unreadable = |error: io::Error| {
            StorageError::Unusable(format!("{} cannot be read: {error}", path.display()))
        };
        let number = number(path).map_err(unreadable)?;
        let (wal, commits) = (beside(path, "-wal"), beside(path, "-commits"));
        let has_wal = wal.try_exists().map_err(unreadable)?;
        if length(path).map_err(unreadable)? == 0 && has_wal && length(&wal).is_ok_and(|n| n > 0) {
            let (file, wal) = (path.display(), wal.display());
            return Err(StorageError::Unusable(format!(
                "{file} is missing or empty, but {wal}, which holds its latest changes, is there. \
                 Restore {file} from where {wal} came from, or move {wal} away as well to begin \
                 with an empty database"
            )));
        }
        let noted = Noted::read(&commits);
        if number != 0 && !has_wal && noted.as_ref().map(|noted| noted.number) != Some(number) {
            let (file, wal) = (path.display(), wal.display());
            return Err(StorageError::Unusable(format!(
                "{file} is incomplete: {wal}, which holds its latest changes, is missing. The \
                 process that wrote it did not stop cleanly before it was copied. Copy {wal} from \
                 where {file} came from, or restore a backup that was made after a clean stop"
            )));
        }
        let known = noted.and_then(|noted| noted.salts);
        if let (Some(known), Some(found)) = (known, Salts::of(&wal))
            && !known.may_become(found)
        {
            let (file, wal, commits) = (path.display(), wal.display(), commits.display());
            return Err(StorageError::Unusable(format!(
                "{wal} is of another database than {file}. Put its own -wal file back, or restore \
                 {file} and the files beside it from one backup. (If another program has changed \
                 {file} since Slipway last had it open, delete {commits}.)"
            )));
        }
        Ok(Self {
            last: number,
            is_numbered: number != 0,
            wal,
            commits,
            file: None,
        })
    }

    /// Goes on with the last number that SQLite finds, once it has opened the file.
    ///
    /// # Errors
    /// If there were more commits than it finds.
    pub(super) fn opened(&mut self, connection: &Connection) -> Result<(), StorageError> {
        self.last = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        // Without a number everything is in the database file, whatever was noted before.
        let noted = Noted::read(&self.commits).map(|noted| noted.number);
        let noted = noted.filter(|noted| self.last != 0 && *noted > self.last);
        let Some(noted) = noted else { return Ok(()) };
        let commits = self.commits.display();
        Err(StorageError::Unusable(format!(
            "the latest changes are missing: the last one that is there has the number {}, and \
             {commits} says that there were {noted}. The -wal file beside it was cut short, or is \
             another one. Restore the files from a backup, all of one moment, or delete {commits} \
             to go on without these changes",
            self.last
        )))
    }

    /// Numbers the commit that is about to be made; it counts once it is [`Self::committed`].
    pub(super) fn number(&self, connection: &Connection) -> Result<(), StorageError> {
        Ok(connection.pragma_update(None, "application_id", self.next())?)
    }

    fn next(&self) -> i32 {
        self.last.checked_add(1).unwrap_or(1)
    }

    /// The commit was made.
    pub(super) fn committed(&mut self) {
        self.last = self.next();
        if let Err(error) = self.note() {
            // It would only have helped other programs.
            tracing::debug!(%error, "the number of a commit could not be written");
        }
    }

    /// Brings the number into the database file, if it has none yet. If a reader is in the way
    /// it does not arrive, and the next commit tries again.
    pub(super) fn mark(&mut self, connection: &Connection) {
        if !self.is_numbered {
            match checkpoint(connection, "PASSIVE") {
                Ok(everything) => self.is_numbered = everything,
                Err(error) => tracing::debug!(%error, "a number did not arrive in a database"),
            }
        }
    }

    /// Writes the last number beside the database, always in the same place.
    fn note(&mut self) -> io::Result<()> {
        let Salts(first, second) = Salts::of(&self.wal).ok_or(io::ErrorKind::NotFound)?;
        let file = match &self.file {
            Some(file) => file,
            None => {
                let mut options = OpenOptions::new();
                options.write(true).create(true).truncate(false).mode(0o600);
                self.file.insert(options.open(&self.commits)?)
            }
        };
        let note = format!("{:010} {first:08x} {second:08x}\n", self.last);
        file.write_all_at(note.as_bytes(), 0)
    }

    /// Copies everything into the database file, which then needs no other.
    ///
    /// # Errors
    /// If it cannot be written, or somebody still reads an older state: then the `-wal` file is
    /// needed.
    pub(super) fn complete(&mut self, connection: &Connection) -> Result<(), StorageError> {
        truncate(connection)?;
        if self.last != 0 || self.is_numbered {
            // Only now: what is copied first must not say that the rest is there.
            connection.pragma_update(None, "application_id", 0)?;
            truncate(connection)?;
            (self.last, self.is_numbered, self.file) = (0, false, None);
        }
        // There may be none, and without a number in the database it means nothing.
        let _ = fs::remove_file(&self.commits);
        Ok(())
    }
}

fn length(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|file| file.len())
}

/// The number in the header of the database file; 0 if it has none.
fn number(path: &Path) -> io::Result<i32> {
    let mut header = Vec::new();
    let length = NUMBER_AT + size_of::<i32>();
    File::open(path)?
        .take(length as u64)
        .read_to_end(&mut header)?;
    let number = header.get(NUMBER_AT..).and_then(|at| at.try_into().ok());
    Ok(number.map_or(0, i32::from_be_bytes))
}

/// Copies into the database file what it can; whether that was everything.
fn checkpoint(connection: &Connection, mode: &str) -> Result<bool, StorageError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let (busy, pages, copied): (bool, i64, i64) =
        connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(!busy && pages == copied)
}

fn truncate(connection: &Connection) -> Result<(), StorageError> {
    if checkpoint(connection, "TRUNCATE")? {
        Ok(())
    } else {
        Err(StorageError::Unusable(
            "somebody still reads an older state of it".into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::Database;

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

    /// A database that is in use, with two rows, and its path.
    async fn used(dir: &TempDir) -> (Database, PathBuf) {
        let path = dir.path().join("t.db");
        let db = open(&path).unwrap();
        insert(&db, 1).await;
        // The mark follows the answer; the writer takes the next job when it is there.
        insert(&db, 2).await;
        assert_ne!(number(&path).unwrap(), 0);
        (db, path)
    }

    /// Another place with the database file and these of the others, as they are now.
    fn copied(path: &Path, others: &[&str]) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("copy.db");
        fs::copy(path, &copy).unwrap();
        for suffix in others {
            fs::copy(beside(path, suffix), beside(&copy, suffix)).unwrap();
        }
        (dir, copy)
    }

    #[tokio::test]
    async fn after_it_is_closed_the_database_file_is_everything() {
        let dir = tempfile::tempdir().unwrap();
        let (db, path) = used(&dir).await;
        db.close().await.unwrap();
        assert_eq!(fs::metadata(beside(&path, "-wal")).unwrap().len(), 0);
        assert!(!beside(&path, "-commits").exists());
        assert_eq!(number(&path).unwrap(), 0);
        let (_dir, copy) = copied(&path, &[]);
        assert_eq!(count(&open(&copy).unwrap()).await, 2);
        // And so is the original when it is opened again.
        drop(db);
        let again = open(&path).unwrap();
        insert(&again, 3).await;
        assert_eq!(count(&again).await, 3);
    }

    #[tokio::test]
    async fn a_file_whose_latest_commits_are_missing_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let (_running, path) = used(&dir).await;
        for others in [&[][..], &["-commits"], &["-commits", "-shm"]] {
            let (_dir, copy) = copied(&path, others);
            let refused = open(&copy).err().unwrap().to_string();
            for word in ["incomplete", "copy.db-wal", "missing", "backup"] {
                assert!(refused.contains(word), "{word} is not in: {refused}");
            }
        }
        let (_dir, copy) = copied(&path, &["-wal"]);
        assert_eq!(count(&open(&copy).unwrap()).await, 2);
    }

    #[tokio::test]
    async fn a_log_that_was_cut_short_is_refused_in_words_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (_running, path) = used(&dir).await;
        for kept in [0, 100] {
            let (_dir, copy) = copied(&path, &["-wal", "-commits"]);
            let wal = beside(&copy, "-wal");
            let file = OpenOptions::new().write(true).open(&wal).unwrap();
            file.set_len(kept).unwrap();
            let before = fs::read(&copy).unwrap();
            for _ in 0..2 {
                let refused = open(&copy).err().unwrap().to_string();
                for word in [
                    "missing",
                    "copy.db-commits says that there were 2",
                    "backup",
                ] {
                    assert!(refused.contains(word), "{word} is not in: {refused}");
                }
            }
            assert_eq!(fs::read(&copy).unwrap(), before);
            fs::remove_file(beside(&copy, "-commits")).unwrap();
            assert_eq!(count(&open(&copy).unwrap()).await, 1);
        }
    }

    #[tokio::test]
    async fn a_log_of_another_database_is_refused_before_it_is_read() {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (_running, path) = used(&dirs[0]).await;
        let (other, other_path) = used(&dirs[1]).await;
        // It has more commits than the one whose place it takes.
        insert(&other, 3).await;
        let (_dir, copy) = copied(&path, &["-wal", "-commits"]);
        fs::copy(beside(&other_path, "-wal"), beside(&copy, "-wal")).unwrap();
        for _ in 0..2 {
            let refused = open(&copy).err().unwrap().to_string();
            assert!(
                refused.contains("copy.db-wal is of another database"),
                "{refused}"
            );
        }
        assert!(!beside(&copy, "-shm").exists(), "SQLite has read it");
        fs::copy(beside(&path, "-wal"), beside(&copy, "-wal")).unwrap();
        assert_eq!(count(&open(&copy).unwrap()).await, 2);
    }

    #[test]
    fn a_log_that_was_begun_anew_is_known() {
        let noted = Salts(u32::MAX, 7);
        assert!(noted.may_become(noted));
        assert!(noted.may_become(Salts(0, 8)));
        for other in [
            Salts(u32::MAX, 8),
            Salts(u32::MAX - 1, 7),
            Salts(1 << 31, 7),
        ] {
            assert!(!noted.may_become(other), "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_log_without_its_database_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let (_running, path) = used(&dir).await;
        let (_dir, copy) = copied(&path, &["-wal"]);
        for missing in [true, false] {
            if missing {
                fs::remove_file(&copy).unwrap();
            } else {
                fs::write(&copy, "").unwrap();
            }
            let refused = open(&copy).err().unwrap().to_string();
            for word in ["copy.db is missing or empty", "copy.db-wal", "Restore"] {
                assert!(refused.contains(word), "{word} is not in: {refused}");
            }
        }
    }

    #[tokio::test]
    async fn after_a_crash_another_program_may_open_and_close_it() {
        let dir = tempfile::tempdir().unwrap();
        let (_running, path) = used(&dir).await;
        let (_dir, copy) = copied(&path, &["-wal", "-commits"]);
        let other = Connection::open(&copy).unwrap();
        other.execute("INSERT INTO t VALUES (3)", []).unwrap();
        drop(other);
        assert!(!beside(&copy, "-wal").exists(), "SQLite deletes it");
        let again = open(&copy).unwrap();
        insert(&again, 4).await;
        assert_eq!(count(&again).await, 4);
    }

    #[tokio::test]
    async fn what_was_only_read_needs_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        let (db, path) = used(&dir).await;
        db.close().await.unwrap();
        let db = open(&path).unwrap();
        assert_eq!(count(&db).await, 2);
        let (_dir, copy) = copied(&path, &[]);
        assert_eq!(count(&open(&copy).unwrap()).await, 2);
    }

    #[tokio::test]
    async fn a_closed_database_takes_no_more_writes() {
        let dir = tempfile::tempdir().unwrap();
        let (db, _) = used(&dir).await;
        db.close().await.unwrap();
        let late = db.write(|_| Ok::<_, StorageError>(())).await;
        assert!(matches!(late, Err(StorageError::Gone)), "{late:?}");
        db.close().await.unwrap();
    }
}
