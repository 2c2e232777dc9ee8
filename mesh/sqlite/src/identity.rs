//! Checks that a file belongs to this store, and that the open files are still at their paths.
//!
//! All stores of a data directory are SQLite files, and some have tables with the same names. So
//! each file has a table with the name of its store; a file of another store is refused. Another
//! table has a random id, which tells apart the databases of two servers.
//!
//! If a file is deleted or moved while SQLite has it open, SQLite continues to write to it, and the
//! writes are lost later. SQLite does not notice this, so [`Presence`] compares the open files with
//! those at their paths: at each commit and at each health check.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{StorageError, beside};

/// The store that the database file at `path` belongs to, without its `-wal` file and without a
/// trace. `None` if it does not say so, or cannot be read.
#[must_use]
pub fn owner(path: &Path) -> Option<String> {
    peek(path, "SELECT name FROM store_name")
}

/// The id of the database in the file at `path`, which no other one has, read in the same way.
#[must_use]
pub fn id(path: &Path) -> Option<String> {
    peek(path, "SELECT value FROM store_id")
}

/// The text that `query` finds in the file at `path`, without its `-wal` file and without a trace.
fn peek(path: &Path, query: &str) -> Option<String> {
    let mut uri = String::from("file:");
    for c in path.to_str()?.chars() {
        match c {
            '%' | '?' | '#' => uri.push_str(&format!("%{:02x}", u32::from(c))),
            _ => uri.push(c),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).ok()?;
    connection.query_row(query, [], |row| row.get(0)).ok()
}

/// Refuses a file of another store.
///
/// # Errors
/// If it belongs to another store, or cannot be read.
pub(super) fn check_owner(
    connection: &Connection,
    path: &Path,
    name: &str,
) -> Result<(), StorageError> {
    let is_named = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'store_name'";
    let is_named = connection.query_row(is_named, [], |_| Ok(())).optional()?;
    if is_named.is_none() {
        return Ok(());
    }
    let owner = connection.query_row("SELECT name FROM store_name", [], |row| row.get(0));
    let owner: Option<String> = owner.optional()?;
    match owner {
        Some(owner) if owner != name => Err(StorageError::Unusable(format!(
            "{} is the database of {owner}, not of {name}. Rename it to {owner}.db, and put the \
             database of {name} here",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Writes the store's name and an id into a new file, or into one of an old version without them.
///
/// # Errors
/// If it cannot be written.
pub(super) fn note_owner(connection: &Connection, name: &str) -> Result<(), StorageError> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS store_name (
             id   INTEGER PRIMARY KEY CHECK (id = 1),
             name TEXT NOT NULL
         ) STRICT;
         CREATE TABLE IF NOT EXISTS store_id (
             id    INTEGER PRIMARY KEY CHECK (id = 1),
             value TEXT NOT NULL
         ) STRICT",
    )?;
    let note = "INSERT INTO store_name (id, name) SELECT 1, ?1
                WHERE NOT EXISTS (SELECT 1 FROM store_name)";
    connection.execute(note, [name])?;
    let note = "INSERT INTO store_id (id, value) SELECT 1, lower(hex(randomblob(16)))
                WHERE NOT EXISTS (SELECT 1 FROM store_id)";
    connection.execute(note, [])?;
    Ok(())
}

/// The files that SQLite has open.
#[derive(Debug)]
pub(super) struct Presence {
    files: [(PathBuf, FileId); 2],
}

/// Identifies a file in a file system, independently of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl Presence {
    /// The files of the database at `path`, which has just been opened and used.
    ///
    /// # Errors
    /// If one of its files does not exist.
    pub(super) fn of(path: &Path) -> Result<Self, StorageError> {
        let open = |path: PathBuf| -> Result<_, StorageError> {
            let id = file_id(&path).map_err(|error| displaced(&path, Some(&error)))?;
            Ok((path, id))
        };
        Ok(Self {
            files: [open(path.to_owned())?, open(beside(path, "-wal"))?],
        })
    }

    /// Checks that the files are still at their paths.
    ///
    /// # Errors
    /// If not: further writes would be lost.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        for (path, open) in &self.files {
            match file_id(path) {
                Ok(found) if found == *open => {}
                Ok(_) => return Err(displaced(path, None)),
                Err(error) => return Err(displaced(path, Some(&error))),
            }
        }
        Ok(())
    }
}

fn file_id(path: &Path) -> io::Result<FileId> {
    let found = fs::metadata(path)?;
    Ok(FileId {
        device: found.dev(),
        inode: found.ino(),
    })
}

fn displaced(path: &Path, error: Option<&io::Error>) -> StorageError {
    let path = path.display();
    StorageError::Displaced(match error {
        Some(error) if error.kind() != io::ErrorKind::NotFound => {
            format!("{path} cannot be accessed any more: {error}")
        }
        Some(_) => format!(
            "{path} was deleted or moved while it was in use. Move it back, or stop Slipway and \
             restore the data directory from a backup"
        ),
        None => format!(
            "{path} was replaced by another file while it was in use. Stop Slipway before its \
             files are restored"
        ),
    })
}
