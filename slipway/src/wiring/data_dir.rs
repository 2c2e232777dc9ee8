//! The data directory: created if it does not exist, and locked by one process at a time.
//!
//! The databases in it belong together. If one is missing and others exist, it was lost, or
//! forgotten when a backup was restored; creating an empty one would hide the loss. So the first
//! start creates all of them, and later a missing one is refused. A database that is older than
//! when it was last used is refused too: it was restored without the others.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use slipway_sqlite::commits::{self, Commits};

const LOCK: &str = "slipway.lock";

/// The file with the number of commits that each database had at the last start or clean stop, one
/// line each.
const COMMITS: &str = "commits";

/// A data directory that this process has locked. The lock ends with the process, even after a
/// crash.
pub(super) struct DataDir {
    path: PathBuf,
    /// Whether its databases were empty.
    is_new: bool,
    /// The names of its databases.
    databases: Vec<String>,
    _lock: File,
}

impl DataDir {
    /// Locks the directory at `path`, which has these databases.
    ///
    /// # Errors
    /// If it cannot be used, another process has locked it, or some of its databases are missing
    /// or older than when they were last used.
    pub(super) fn take(path: &Path, databases: &[&str]) -> anyhow::Result<Self> {
        let place = path.display();
        ensure!(!path.is_file(), "the data directory {place} is a file");
        create(path).with_context(|| format!("the data directory {place} cannot be created"))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK))
            .with_context(|| format!("the data directory {place} cannot be written"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The process id is only used in the message.
                let _ = lock.read_to_string(&mut holder);
                bail!(
                    "the data directory {place} is in use by process {}",
                    holder.trim()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error)
                    .with_context(|| format!("the data directory {place} cannot be locked"));
            }
        }
        let mut note = || -> io::Result<()> {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        note().with_context(|| format!("{} cannot be written", path.join(LOCK).display()))?;
        let mut taken = Self {
            path: path.to_owned(),
            is_new: true,
            databases: databases.iter().map(|name| (*name).to_owned()).collect(),
            _lock: lock,
        };
        taken.is_new = taken.complete(databases)?;
        taken.refuse_older()?;
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
        if present.is_empty() {
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
        if !empty.is_empty() {
            tracing::warn!(
                databases = names(&empty),
                "empty database files found; starting them anew"
            );
        }
        Ok(false)
    }

    /// Refuses databases that had more commits when they were last used.
    fn refuse_older(&self) -> anyhow::Result<()> {
        let noted = self.noted_commits()?;
        let mut older = Vec::new();
        for (name, held) in self.count_commits()? {
            let path = self.database(&name);
            // An empty database is a fresh start on purpose, and the database of another store is
            // refused when it is opened.
            let is_empty = fs::metadata(&path).is_ok_and(|file| file.len() == 0);
            let is_own = slipway_sqlite::owner(&path).is_none_or(|owner| owner == name);
            let is_older = noted.get(&name).is_some_and(|noted| noted.is_after(held));
            if is_older && is_own && !is_empty {
                older.push(path);
            }
        }
        ensure!(
            older.is_empty(),
            "{} older than when it was last used, and so inconsistent with the other databases. \
             Restore all of them from the same backup, into an empty directory. To continue with \
             the data that each of them has, delete {}",
            listed(&older),
            self.file(COMMITS).display()
        );
        Ok(())
    }

    /// The numbers of commits that were saved last.
    fn noted_commits(&self) -> anyhow::Result<BTreeMap<String, Commits>> {
        let note = self.file(COMMITS);
        let text = match fs::read_to_string(&note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("{} cannot be read", note.display()))?,
        };
        // A truncated line, after a crash of the machine, has a smaller number, which is harmless.
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let noted = lines.filter_map(|(name, held)| Some((name.to_owned(), Commits::parse(held)?)));
        Ok(noted.collect())
    }

    /// The number of commits in each database file.
    fn count_commits(&self) -> anyhow::Result<Vec<(String, Commits)>> {
        let count = |name: &String| {
            let path = self.database(name);
            let held = commits::in_file(&path);
            let held = held.with_context(|| format!("{} cannot be read", path.display()))?;
            Ok((name.clone(), held))
        };
        self.databases.iter().map(count).collect()
    }

    /// Saves the number of commits in each database. Call it when all databases have been opened
    /// successfully, and when they have been closed.
    ///
    /// # Errors
    /// If a database cannot be read, or the file cannot be written.
    pub(super) fn note_commits(&self) -> anyhow::Result<()> {
        let mut commits = self.noted_commits()?;
        commits.extend(self.count_commits()?);
        let note = self.file(COMMITS);
        let lines = commits.iter();
        let lines = lines.map(|(name, held)| format!("{name} {held}\n"));
        fs::write(&note, lines.collect::<String>())
            .with_context(|| format!("{} cannot be written", note.display()))
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
mod tests {
    use slipway_sqlite::StorageError;

    use super::*;

    #[test]
    fn a_second_process_is_refused_with_the_id_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let held = DataDir::take(&path, &[]).unwrap();
        let refused = DataDir::take(&path, &[]).err().unwrap().to_string();
        assert!(
            refused.contains(&std::process::id().to_string()),
            "{refused}"
        );
        drop(held);
        DataDir::take(&path, &[]).unwrap();
    }

    #[test]
    fn a_missing_database_is_refused_with_instructions() {
        let dir = tempfile::tempdir().unwrap();
        let take = || DataDir::take(dir.path(), &["a", "b"]);
        let (a, b) = (dir.path().join("a.db"), dir.path().join("b.db"));
        // The first start creates all of them, even if it ends before any data is written.
        drop(take().unwrap());
        assert!(a.exists());
        fs::remove_file(&a).unwrap();
        drop(take().unwrap());
        fs::write(&b, "content").unwrap();
        drop(take().unwrap());
        fs::remove_file(&a).unwrap();
        let refused = take().err().unwrap().to_string();
        let (a_name, b_name) = (a.display(), b.display());
        for words in [
            format!("{a_name} is missing, but {b_name} is there"),
            format!("touch {a_name}"),
        ] {
            assert!(refused.contains(&words), "{words} is not in: {refused}");
        }
        assert!(!a.exists());
        fs::write(&a, "").unwrap();
        take().unwrap();
    }

    #[tokio::test]
    async fn a_database_older_than_at_the_last_start_is_refused_with_instructions() {
        let dir = tempfile::tempdir().unwrap();
        let take = || DataDir::take(dir.path(), &["a", "b"]);
        let start = || take().unwrap().note_commits().unwrap();
        start();
        let path = dir.path().join("a.db");
        let schema = &["CREATE TABLE t (k INTEGER)"];
        let run = async || {
            let db = slipway_sqlite::Database::open(&path, "a", schema).unwrap();
            let insert = db.write(|c| -> Result<(), StorageError> {
                c.execute("INSERT INTO t VALUES (1)", [])?;
                Ok(())
            });
            insert.await.unwrap();
            db.close().await.unwrap();
        };
        run().await;
        // A backup after a clean stop, and one run after it.
        start();
        let backup = fs::read(&path).unwrap();
        start();
        run().await;
        start();
        fs::write(&path, backup).unwrap();
        for _ in 0..2 {
            let refused = take().err().unwrap().to_string();
            let note = dir.path().join(COMMITS);
            for words in [
                format!("{} is older", path.display()),
                format!("delete {}", note.display()),
            ] {
                assert!(refused.contains(&words), "{words} is not in: {refused}");
            }
        }
        fs::remove_file(dir.path().join(COMMITS)).unwrap();
        start();
        // An emptied database is accepted.
        run().await;
        start();
        fs::write(&path, "").unwrap();
        fs::write(dir.path().join("b.db"), "content").unwrap();
        start();
    }

    #[test]
    fn a_path_that_is_a_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(DataDir::take(&path, &[]).is_err());
    }
}
