//! The `-wal` file beside the database, which holds the latest commits until they are copied
//! into it.
//!
//! Whoever copies the database file alone, of a process that runs or was killed, loses what is
//! in the `-wal` file; what is left may be old, empty or malformed, and SQLite cannot tell. So
//! the [commits](super::commits) of the writer are counted. [`Wal::complete`] copies everything into the database file
//! and then makes the number negative: nothing is missing. A `-commits` file beside the database
//! holds the same number, what the database file had when this `-wal` file began, and the
//! [`Salts`] by which the `-wal` file is known. By these, files that are not of one moment are
//! refused before SQLite writes to any of them:
//!
//! | found | told by |
//! | --- | --- |
//! | a database whose `-wal` file is missing | a number that is not negative, and not the last in the `-commits` file |
//! | a `-wal` file that was emptied or cut short | fewer commits than the `-commits` file says |
//! | the `-wal` file of another database | its salts |
//! | a database older than its `-wal` file | a number before the one that it had when that began |
//! | a database newer than its `-wal` file | a number after the last in the `-wal` file |
//!
//! After a crash another program may open and close the database: SQLite then copies everything
//! and deletes the `-wal` file, and the number is the last. (For our connections that is switched
//! off: it would leave a file with a number.)

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{
    StorageError, beside,
    commits::{Commits, field_in_file},
};

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
#[derive(Debug, Clone, Copy)]
struct Noted {
    /// Up to the last one.
    number: Commits,
    /// `None`: the `-wal` file had nothing in it.
    salts: Option<Salts>,
    /// What the database file held when the `-wal` file began. 0 says nothing.
    base: Commits,
}

impl Noted {
    /// In the file at `path`, if there is one that can be read.
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let mut parts = text.split_whitespace();
        let number = Commits::parse(parts.next()?)?;
        let mut salt = || u32::from_str_radix(parts.next()?, 16).ok();
        let (first, second) = (salt(), salt());
        Some(Self {
            number,
            salts: first
                .zip(second)
                .map(|(first, second)| Salts(first, second)),
            // An earlier version did not note it.
            base: parts.next().and_then(Commits::parse).unwrap_or_default(),
        })
    }

    /// One line, always of the same length.
    fn line(&self) -> String {
        let salts = self.salts.map_or_else(
            || "-------- --------".to_owned(),
            |Salts(first, second)| format!("{first:08x} {second:08x}"),
        );
        format!("{:>010} {salts} {:>010}\n", self.number, self.base)
    }
}

/// The numbers of one database file.
#[derive(Debug)]
pub(super) struct Wal {
    /// The database file.
    path: PathBuf,
    /// Beside it.
    wal: PathBuf,
    /// Beside it: what is [`Noted`].
    commits: PathBuf,
    /// That file, once it is open.
    file: Option<File>,
    noted: Noted,
    /// Whether the database file itself says that it needs its `-wal` file.
    is_marked: bool,
}

impl Wal {
    /// Looks at the file at `path`, before SQLite has opened it.
    ///
    /// # Errors
    /// If its latest commits are missing, the files are not of one moment, or it cannot be read.
    pub(super) fn of(path: &Path) -> Result<Self, StorageError> {
        let unreadable = |error: io::Error| {
            StorageError::Unusable(format!("{} cannot be read: {error}", path.display()))
        };
        let field = field_in_file(path).map_err(unreadable)?;
        let number = Commits::from_field(field);
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
        if field > 0 && !has_wal && noted.map(|noted| noted.number) != Some(number) {
            let (file, wal) = (path.display(), wal.display());
            return Err(StorageError::Unusable(format!(
                "{file} is incomplete: {wal}, which holds its latest changes, is missing. The \
                 process that wrote it did not stop cleanly before it was copied. Copy {wal} from \
                 where {file} came from, or restore a backup that was made after a clean stop. \
                 (Only a copy that SQLite itself has made, as a backup, is whole without it. Then say so: \
                 sqlite3 {file} 'PRAGMA application_id = 0')"
            )));
        }
        let found = Salts::of(&wal);
        if let (Some(noted), Some(found)) = (noted, found) {
            if noted.salts.is_some_and(|known| !known.may_become(found)) {
                let (file, wal, commits) = (path.display(), wal.display(), commits.display());
                return Err(StorageError::Unusable(format!(
                    "{wal} is of another database than {file}. Put its own -wal file back, or \
                     restore {file} and the files beside it from one backup. (If another program \
                     has changed {file} since Slipway last had it open, delete {commits}.)"
                )));
            }
            if noted.base.is_after(number) {
                return Err(of_another_moment(path, "newer"));
            }
        }
        Ok(Self {
            noted: Noted {
                number,
                salts: found,
                base: noted.map(|noted| noted.base).unwrap_or_default(),
            },
            is_marked: field > 0,
            path: path.to_owned(),
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
        let field = field(connection)?;
        let last = Commits::from_field(field);
        if self.noted.number.is_after(last) {
            return Err(of_another_moment(&self.path, "older"));
        }
        let noted = Noted::read(&self.commits);
        // A number that is not positive says that everything is in the database file, whatever
        // was noted before.
        if let Some(Noted { number, .. }) = noted
            && field > 0
            && number.is_after(last)
        {
            let commits = self.commits.display();
            return Err(StorageError::Unusable(format!(
                "the latest changes are missing: the last one that is there has the number \
                 {last}, and {commits} says that there were {number}. The -wal file beside it was \
                 cut short, or is another one. Restore the files from a backup, all of one \
                 moment, or delete {commits} to go on without these changes"
            )));
        }
        self.noted.number = last;
        if self.noted.salts.is_none() {
            // What the `-wal` file was known by went with what was in it.
            self.noted.base = self.noted.number;
            if noted.is_some() {
                self.note();
            }
        }
        Ok(())
    }

    /// Numbers the commit that is about to be made, and returns its number for
    /// [`Self::committed`].
    pub(super) fn number(&self, connection: &Connection) -> Result<Commits, StorageError> {
        let number = Commits::from_field(field(connection)?).next();
        connection.pragma_update(None, "application_id", number.field(false))?;
        Ok(number)
    }

    /// The commit with this number was made.
    pub(super) fn committed(&mut self, number: Commits) {
        let salts = Salts::of(&self.wal);
        if self.noted.salts != salts {
            // Everything before it had been copied into the database file.
            self.noted.base = self.noted.number;
        }
        (self.noted.number, self.noted.salts) = (number, salts);
        self.note();
    }

    /// Brings the number into the database file, if it has none yet. If a reader is in the way
    /// it does not arrive, and the next commit tries again.
    pub(super) fn mark(&mut self, connection: &Connection) {
        if !self.is_marked {
            match checkpoint(connection, "PASSIVE") {
                Ok(everything) => self.is_marked = everything,
                Err(error) => tracing::debug!(%error, "failed to checkpoint the commit number"),
            }
        }
    }

    /// Writes what is noted beside the database, always in the same place. It is not brought to
    /// the disk: a crash of the machine may leave an earlier note.
    fn note(&mut self) {
        let mut write = || -> io::Result<()> {
            let file = match &self.file {
                Some(file) => file,
                None => {
                    let mut options = OpenOptions::new();
                    options.write(true).create(true).truncate(false).mode(0o600);
                    self.file.insert(options.open(&self.commits)?)
                }
            };
            file.write_all_at(self.noted.line().as_bytes(), 0)
        };
        if let Err(error) = write() {
            // Without it less is noticed.
            tracing::debug!(%error, "failed to write the -commits file");
        }
    }

    /// Copies everything into the database file, which then needs no other.
    ///
    /// # Errors
    /// If it cannot be written, or somebody still reads an older state: then the `-wal` file is
    /// needed.
    pub(super) fn complete(&mut self, connection: &Connection) -> Result<(), StorageError> {
        truncate(connection)?;
        let field = field(connection)?;
        let last = Commits::from_field(field);
        if field > 0 {
            // Only now: what is copied first must not say that the rest is there.
            connection.pragma_update(None, "application_id", last.field(true))?;
            truncate(connection)?;
        }
        (self.is_marked, self.file) = (false, None);
        (self.noted.salts, self.noted.base) = (None, last);
        // There may be none, and with a whole database it means nothing.
        let _ = fs::remove_file(&self.commits);
        Ok(())
    }
}

/// The number of commits that SQLite sees, negative if everything is in the database file.
fn field(connection: &Connection) -> Result<i32, StorageError> {
    let mut field = connection.prepare_cached("PRAGMA application_id")?;
    Ok(field.query_row([], |row| row.get(0))?)
}

/// The refusal of a database beside a `-wal` file that is `newer` or `older` than it.
fn of_another_moment(path: &Path, wal_is: &str) -> StorageError {
    let (file, wal) = (path.display(), beside(path, "-wal"));
    let wal = wal.display();
    StorageError::Unusable(format!(
        "{wal} is {wal_is} than {file}: they are not of one moment, and together they would be \
         damaged. Restore {file} and the files beside it from one backup, into an empty \
         directory. (If the backup has no {wal} because it was made after a clean stop, move \
         {wal} away.)"
    ))
}

fn length(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|file| file.len())
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
        assert_ne!(field_in_file(&path).unwrap(), 0);
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
        assert_eq!(field_in_file(&path).unwrap(), -2);
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

    /// What a start may leave that ended before anything was committed in it.
    #[tokio::test]
    async fn a_log_that_was_begun_where_one_was_emptied_is_of_the_same_database() {
        let dir = tempfile::tempdir().unwrap();
        let (db, path) = used(&dir).await;
        let (_dir, copy) = copied(&path, &["-commits"]);
        db.close().await.unwrap();
        fs::copy(&path, &copy).unwrap();
        fs::write(beside(&copy, "-wal"), "").unwrap();
        let begun = Database::open_with(&copy, "t", |connection| {
            Ok(connection.execute_batch("CREATE TABLE another (k INTEGER)")?)
        });
        let (_killed, killed) = {
            let _running = begun.unwrap();
            copied(&copy, &["-wal", "-commits"])
        };
        assert_eq!(count(&open(&killed).unwrap()).await, 2);
    }

    #[tokio::test]
    async fn a_database_that_is_older_or_newer_than_its_log_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (db, path) = used(&dir).await;
        let (_old, old) = copied(&path, &["-wal", "-commits"]);
        db.close().await.unwrap();
        let (_whole, whole) = copied(&path, &[]);
        let db = open(&path).unwrap();
        // The first is marked in the database file; with the next a log begins, and again.
        for k in 3..6 {
            insert(&db, k).await;
        }
        let (_new, new) = copied(&path, &["-wal", "-commits"]);
        for (database, log, told) in [
            (&old, &new, "copy.db-wal is newer than"),
            (&whole, &new, "copy.db-wal is newer than"),
            (&new, &old, "copy.db-wal is older than"),
        ] {
            let (_dir, copy) = copied(database, &[]);
            for suffix in ["-wal", "-commits"] {
                fs::copy(beside(log, suffix), beside(&copy, suffix)).unwrap();
            }
            let before = fs::read(&copy).unwrap();
            for _ in 0..2 {
                let refused = open(&copy).err().unwrap().to_string();
                assert!(refused.contains(told), "{told} is not in: {refused}");
            }
            assert_eq!(fs::read(&copy).unwrap(), before);
        }
        assert_eq!(count(&open(&new).unwrap()).await, 5);
        assert_eq!(count(&open(&old).unwrap()).await, 2);
        assert_eq!(count(&open(&whole).unwrap()).await, 2);
    }

    #[tokio::test]
    async fn a_copy_that_sqlite_has_made_is_told_how_to_become_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (_running, path) = used(&dir).await;
        let copy = dir.path().join("copy.db");
        let reader = Connection::open(&path).unwrap();
        reader.execute("VACUUM INTO ?1", [copy.to_str()]).unwrap();
        let refused = open(&copy).err().unwrap().to_string();
        let (_, pragma) = refused.split_once("copy.db '").unwrap();
        let (pragma, _) = pragma.split_once('\'').unwrap();
        Connection::open(&copy)
            .unwrap()
            .execute_batch(pragma)
            .unwrap();
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
