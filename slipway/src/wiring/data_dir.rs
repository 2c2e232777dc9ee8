//! The data directory: created if it does not exist, and locked by one process at a time.
//!
//! The databases in it belong together. If one is missing and others exist, it was lost, or
//! forgotten when a backup was restored; creating an empty one would hide the loss. So the first
//! start creates all of them, and later a missing one is refused. A database that is not the one
//! that was last used here is refused too, by its [notes]: it was restored without the others.

pub(crate) mod backup;
mod notes;
pub(crate) mod restore;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};

use self::notes::{Note, Notes};

const LOCK: &str = "slipway.lock";

/// The file with the [`Notes`].
const COMMITS: &str = "commits";

/// A data directory that this process has locked. The locks end with the process, even after a
/// crash.
pub(super) struct DataDir {
    path: PathBuf,
    /// Whether its databases were empty.
    is_new: bool,
    /// The names of its databases.
    databases: Vec<String>,
    /// On the directory, which cannot be deleted while there are files in it; and on a file in it,
    /// because a network file system locks only files for all machines.
    _locks: [File; 2],
}

impl DataDir {
    /// Locks the directory at `path`, which has these databases.
    ///
    /// # Errors
    /// If it cannot be used, another process has locked it, or some of its databases are missing
    /// or not those that were last used here.
    pub(super) fn take(path: &Path, databases: &[&str]) -> anyhow::Result<Self> {
        let mut taken = Self {
            path: path.to_owned(),
            is_new: true,
            databases: databases.iter().map(|name| (*name).to_owned()).collect(),
            _locks: lock(path)?,
        };
        taken.is_new = taken.complete(databases)?;
        taken.refuse_others()?;
        Ok(taken)
    }

    /// Creates the databases if this is the first start; returns whether it is.
    fn complete(&self, databases: &[&str]) -> anyhow::Result<bool> {
        let (mut present, mut empty, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for name in databases {
            let path = self.database(name);
            match fs::metadata(&path) {
                Ok(file) if file.len() > 0 => present.push(path),
                Ok(_) => empty.push(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(path),
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("{} cannot be read", path.display()));
                }
            }
        }
        let noted = Notes::read(self.file(COMMITS))?;
        if present.is_empty() {
            let is_lost = databases.iter().any(|name| noted.of(name).is_some());
            ensure!(
                missing.is_empty() || !is_lost,
                "{} missing, and {} says that there was data in it. Restore the databases from a \
                 backup. To start without any data, delete {1}",
                listed(&missing),
                self.file(COMMITS).display()
            );
            for path in missing {
                File::create(&path)
                    .with_context(|| format!("{} cannot be created", path.display()))?;
            }
            return Ok(true);
        }
        if let Some(first) = missing.first() {
            bail!(
                "{} missing, but {} there. Restore all of them from the same backup. To start \
                 without the data of a missing one, create an empty file in its place: touch {}",
                listed(&missing),
                listed(&present),
                first.display()
            );
        }
        if noted.is_empty() {
            tracing::warn!(
                path = %self.file(COMMITS).display(),
                "file of commit numbers is missing or not readable; whether the databases are from one \
                 backup is not checked"
            );
        }
        if !empty.is_empty() {
            tracing::warn!(
                databases = names(&empty),
                "empty database files found; starting them anew"
            );
        }
        Ok(false)
    }

    /// Refuses databases that are not those that were last used here. From then on they may change,
    /// until [`Self::note_closed`].
    fn refuse_others(&self) -> anyhow::Result<()> {
        let mut notes = Notes::read(self.file(COMMITS))?;
        let (mut older, mut newer, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
        for name in &self.databases {
            let path = self.database(name);
            // An empty database is a fresh start on purpose.
            if fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
                notes.remove(name);
                continue;
            }
            // The database of another store is refused when it is opened.
            if slipway_sqlite::owner(&path).is_some_and(|owner| owner != *name) {
                continue;
            }
            let found = Note::of(&path)?;
            if let Some(noted) = notes.of(name) {
                if noted.id.is_some() && found.id.is_some() && noted.id != found.id {
                    foreign.push(path);
                } else if noted.commits.is_after(found.commits) {
                    older.push(path);
                } else if noted.is_closed && found.commits.is_after(noted.commits) {
                    newer.push(path);
                }
            }
            let is_closed = false;
            notes.insert(name, Note { is_closed, ..found });
        }
        for (found, what) in [
            (foreign, "not from here, but from another server"),
            (older, "older than when it was last used here"),
            (newer, "newer than when it was last used here"),
        ] {
            ensure!(
                found.is_empty(),
                "{} {what}, and so inconsistent with the other databases. Restore all of them from \
                 the same backup, into an empty directory. To continue with the data that each of \
                 them has, delete {}",
                listed(&found),
                self.file(COMMITS).display()
            );
        }
        notes.write()
    }

    /// Notes the ids of databases. Call it when all of them have been opened successfully.
    ///
    /// # Errors
    /// If the notes cannot be written.
    pub(super) fn note_opened(&self) -> anyhow::Result<()> {
        let mut notes = Notes::read(self.file(COMMITS))?;
        for name in &self.databases {
            notes.opened(name, slipway_sqlite::id(&self.database(name)));
        }
        notes.write()
    }

    /// Notes what each database is. Call it when they have been closed: from now on nothing changes
    /// them. Not before, because it reads the files: that would end SQLite's locks on them.
    ///
    /// # Errors
    /// If a database cannot be read, or the notes cannot be written.
    pub(super) fn note_closed(&self) -> anyhow::Result<()> {
        let mut notes = Notes::read(self.file(COMMITS))?;
        for name in &self.databases {
            notes.insert(name, Note::of(&self.database(name))?);
        }
        notes.write()
    }

    /// Whether its databases were empty when it was locked.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The path of a database in it.
    pub(super) fn database(&self, name: &str) -> PathBuf {
        self.file(&format!("{name}.db"))
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Creates the directory at `path` if it does not exist, and locks it.
fn lock(path: &Path) -> anyhow::Result<[File; 2]> {
    let place = path.display();
    ensure!(!path.is_file(), "the data directory {place} is a file");
    create(path).with_context(|| format!("the data directory {place} cannot be created"))?;
    let directory =
        File::open(path).with_context(|| format!("the data directory {place} cannot be read"))?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK))
        .with_context(|| format!("the data directory {place} cannot be written"))?;
    for lock in [&directory, &file] {
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("the data directory {place} is in use by {}", holder(&file));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error)
                    .with_context(|| format!("the data directory {place} cannot be locked"));
            }
        }
    }
    let mut note = || -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note().with_context(|| format!("{} cannot be written", path.join(LOCK).display()))?;
    Ok([directory, file])
}

/// Who has locked the directory, by what it wrote into the lock file.
fn holder(mut file: &File) -> String {
    let mut id = String::new();
    // It is only used in the message.
    let _ = file.read_to_string(&mut id);
    match id.trim() {
        "" => "another process".to_owned(),
        id => format!("process {id}"),
    }
}

/// Paths in a sentence, with its verb.
fn listed(paths: &[PathBuf]) -> String {
    let verb = if paths.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names(paths))
}

fn names(paths: &[PathBuf]) -> String {
    let texts = paths.iter().map(|path| path.display().to_string());
    texts.collect::<Vec<_>>().join(", ")
}

/// Creates the directory, accessible to its owner only, because it will contain keys.
fn create(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests;
