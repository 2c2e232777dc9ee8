//! Refuses to open a database whose latest commits are missing.
//!
//! The latest commits are in the `-wal` file until they are copied into the database file. If
//! somebody copies only the database file of a process that is running or was killed, the commits
//! in the `-wal` file are lost; the remaining file may be old, empty or malformed, and SQLite
//! cannot detect this. So the writer counts its [commits](super::commits). [`Wal::complete`] copies
//! everything into the database file and then makes the number negative: nothing is missing. A
//! `-commits` file next to the database contains the same number, the number that the database file
//! had when this `-wal` file began, and the [`Salts`] that identify the `-wal` file. With these,
//! files that do not belong to the same moment are refused before SQLite writes to any of them:
//!
//! | found | detected by |
//! | --- | --- |
//! | a database whose `-wal` file is missing | a number that is not negative, and neither the one in the `-commits` file nor the next |
//! | a `-wal` file that was emptied or truncated | fewer commits than the `-commits` file says |
//! | the `-wal` file of another database | its salts |
//! | a database older than its `-wal` file | a number before the one that it had when the `-wal` file began, by the `-commits` file or by [the `-wal` file itself](first) |
//! | a database newer than its `-wal` file | a number after the last in the `-wal` file |
//!
//! After a crash another program may open and close the database: SQLite then copies everything and
//! deletes the `-wal` file, and the number is the last one, or the next if the crash came between a
//! commit and the note of it. (For our own connections this is switched off, because it would leave
//! a file with a positive number.)

mod first;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rusqlite::Connection;

use super::{
    StorageError, beside,
    commits::{Commits, field_in_file},
    writer::transaction,
};

/// Offset of the salts in the header of a `-wal` file.
const SALTS_AT: u64 = 16;

/// How often SQLite may have restarted a `-wal` file since its salts were recorded: after a crash
/// of the machine, the latest records may be missing.
const RESTARTS: u32 = 1 << 16;

/// Pauses before a file that would be refused is examined again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(75),
];

/// Two random numbers that SQLite chooses for each `-wal` file. When everything is copied and
/// SQLite restarts the file, the first is increased by one and the second is chosen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Salts(u32, u32);

impl Salts {
    /// The salts of the `-wal` file at `path`; `None` if it is empty or missing.
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

    /// Whether a file with these salts can have been restarted to one with `later`.
    fn may_become(self, later: Self) -> bool {
        self == later || (1..=RESTARTS).contains(&later.0.wrapping_sub(self.0))
    }
}

/// The content of a `-commits` file.
#[derive(Debug, Clone, Copy)]
struct Noted {
    /// The number of the last commit.
    number: Commits,
    /// `None`: the `-wal` file was empty.
    salts: Option<Salts>,
    /// The number in the database file when the `-wal` file began. 0 means unknown.
    base: Commits,
}

impl Noted {
    /// Reads the file at `path`, if it exists and is valid.
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
            // An earlier version did not record it.
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

/// The commit numbers of one database file, and where they are stored.
#[derive(Debug)]
pub(super) struct Wal {
    /// The database file.
    path: PathBuf,
    /// The `-wal` file.
    wal: PathBuf,
    /// The `-commits` file, with the content [`Noted`].
    commits: PathBuf,
    /// The `-commits` file, once it is open.
    file: Option<File>,
    noted: Noted,
    /// Whether the `-commits` file could not be written the last time.
    is_unnoted: bool,
    /// Whether the number in the database file says that it needs its `-wal` file.
    is_marked: bool,
}

impl Wal {
    /// Examines the file at `path` before SQLite opens it. Another handle may be between its commit
    /// and its note of it, so a file is refused only if it stays like that.
    ///
    /// # Errors
    /// If its latest commits are missing, the files do not belong to the same moment, or a file
    /// cannot be read.
    pub(super) fn of(path: &Path) -> Result<Self, StorageError> {
        for pause in PAUSES {
            match Self::examine(path) {
                Err(StorageError::Unusable(_)) => thread::sleep(pause),
                examined => return examined,
            }
        }
        Self::examine(path)
    }

    fn examine(path: &Path) -> Result<Self, StorageError> {
        let unreadable = |error: io::Error| {
            StorageError::Unusable(format!("{} cannot be read: {error}", path.display()))
        };
        let (wal, commits) = (beside(path, "-wal"), beside(path, "-commits"));
        // First: another handle may write meanwhile, and it writes this last.
        let noted = Noted::read(&commits);
        let field = field_in_file(path).map_err(unreadable)?;
        let number = Commits::from_field(field);
        let has_wal = wal.try_exists().map_err(unreadable)?;
        if length(path).map_err(unreadable)? == 0 && has_wal && length(&wal).is_ok_and(|n| n > 0) {
            let (file, wal) = (path.display(), wal.display());
            return Err(StorageError::Unusable(format!(
                "{file} is missing or empty, but {wal}, which holds its latest changes, is there. \
                 Restore {file} from where {wal} came from, or move {wal} away as well to begin \
                 with an empty database"
            )));
        }
        // The process may have ended between its last commit and the note of it.
        let is_last = |noted: Noted| noted.number == number || noted.number.next() == number;
        if field > 0 && !has_wal && !noted.is_some_and(is_last) {
            let (file, wal) = (path.display(), wal.display());
            return Err(StorageError::Unusable(format!(
                "{file} is incomplete: {wal}, which holds its latest changes, is missing. The \
                 process that wrote it did not stop cleanly before it was copied. Copy {wal} from \
                 where {file} came from, or restore a backup that was made after a clean stop. \
                 (Only a backup made by SQLite itself is complete without it. For such a copy, run: \
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
        if let Some(first) = first::number(&wal) {
            // Read after it: everything before a `-wal` file is in the database when it begins.
            let number = Commits::from_field(field_in_file(path).map_err(unreadable)?);
            if first.is_after(number.next()) {
                return Err(of_another_moment(path, "newer"));
            }
        }
        Ok(Self {
            noted: Noted {
                number,
                salts: found,
                base: noted.map(|noted| noted.base).unwrap_or_default(),
            },
            is_unnoted: false,
            is_marked: field > 0,
            path: path.to_owned(),
            wal,
            commits,
            file: None,
        })
    }

    /// Continues with the last number that SQLite finds after opening the file.
    ///
    /// # Errors
    /// If there were more commits than SQLite finds.
    pub(super) fn opened(&mut self, connection: &Connection) -> Result<(), StorageError> {
        let noted = Noted::read(&self.commits);
        let field = field(connection)?;
        let last = Commits::from_field(field);
        if self.noted.number.is_after(last) {
            return Err(of_another_moment(&self.path, "older"));
        }
        // A number that is not positive means that everything is in the database file, whatever was
        // recorded before.
        if let Some(Noted { number, .. }) = noted
            && field > 0
            && number.is_after(last)
        {
            let commits = self.commits.display();
            return Err(StorageError::Unusable(format!(
                "the latest changes are missing: the last one found has the number \
                 {last}, and {commits} says that there were {number}. The -wal file beside it was \
                 truncated, or is another one. Restore all files from one backup, or \
                 delete {commits} to continue without these changes"
            )));
        }
        self.noted.number = last;
        if self.noted.salts.is_none() {
            // The old salts are obsolete with the content of the old `-wal` file.
            self.noted.base = self.noted.number;
            if noted.is_some() {
                self.note();
            }
        }
        Ok(())
    }

    /// Writes the number of the commit that is about to be made, and returns it for
    /// [`Self::committed`].
    pub(super) fn number(&self, connection: &Connection) -> Result<Commits, StorageError> {
        let number = Commits::from_field(field(connection)?).next();
        connection.pragma_update(None, "application_id", number.field(false))?;
        Ok(number)
    }

    /// Records that the commit with this number was made.
    pub(super) fn committed(&mut self, number: Commits) {
        let salts = Salts::of(&self.wal);
        if self.noted.salts != salts {
            // Everything before this commit was copied into the database file.
            self.noted.base = self.noted.number;
        }
        (self.noted.number, self.noted.salts) = (number, salts);
        self.note();
    }

    /// Copies the number into the database file, if it has none yet. If a reader prevents this, the
    /// next commit tries again.
    pub(super) fn mark(&mut self, connection: &Connection) {
        if !self.is_marked {
            match checkpoint(connection, "PASSIVE") {
                Ok(everything) => self.is_marked = everything,
                Err(error) => tracing::debug!(%error, "failed to checkpoint the commit number"),
            }
        }
    }

    /// Writes the `-commits` file, always in place. It is not synced: after a crash of the machine
    /// it may have earlier content.
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
        let failed = write().err();
        if let (Some(error), false) = (&failed, self.is_unnoted) {
            tracing::warn!(
                path = %self.commits.display(),
                %error,
                "failed to write the -commits file; a -wal file that is lost or mixed up may not be \
                 noticed"
            );
        }
        self.is_unnoted = failed.is_some();
    }

    /// Copies everything into the database file, which then needs no other file.
    ///
    /// # Errors
    /// If it cannot be written, a reader still uses an older snapshot, or another handle has
    /// committed meanwhile: then the `-wal` file is needed.
    pub(super) fn complete(&mut self, connection: &Connection) -> Result<(), StorageError> {
        let before = field(connection)?;
        truncate(connection)?;
        let last = Commits::from_field(before);
        if before > 0 {
            // Only now: the first copy must not claim that the rest is there.
            transaction(connection, |connection| {
                if field(connection)? != before {
                    return Err(StorageError::Unusable("it is being written".into()));
                }
                connection.pragma_update(None, "application_id", last.field(true))?;
                Ok(())
            })?;
            truncate(connection)?;
        }
        (self.is_marked, self.file) = (false, None);
        (self.noted.salts, self.noted.base) = (None, last);
        // The file may be missing; next to a complete database it has no meaning.
        let _ = fs::remove_file(&self.commits);
        Ok(())
    }
}

/// The number of commits that SQLite sees, negative if everything is in the database file.
pub(super) fn field(connection: &Connection) -> Result<i32, StorageError> {
    let mut field = connection.prepare_cached("PRAGMA application_id")?;
    Ok(field.query_row([], |row| row.get(0))?)
}

/// The error for a database whose `-wal` file is `newer` or `older` than it.
fn of_another_moment(path: &Path, wal_is: &str) -> StorageError {
    let (file, wal) = (path.display(), beside(path, "-wal"));
    let wal = wal.display();
    StorageError::Unusable(format!(
        "{wal} is {wal_is} than {file}: they do not belong together, and opening them would damage \
         the database. Restore {file} and the files beside it from one backup, into an empty \
         directory. (If the backup has no {wal} because it was made after a clean stop, move \
         {wal} away.)"
    ))
}

fn length(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|file| file.len())
}

/// Copies into the database file what it can; returns whether that was everything.
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
            "a reader still uses an older state of it".into(),
        ))
    }
}

#[cfg(test)]
mod tests;
