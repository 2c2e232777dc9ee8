//! The data directory: made if it is not there, and held by one process at a time.
//!
//! The databases in it belong together. One that is missing beside others was lost, or forgotten
//! when a backup was restored: making it anew would lose what it held without a word. So at the
//! first start all are made at once, empty, and later one that is missing is refused. So is one that
//! is older than at the last start: it was restored without the others.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use slipway_sqlite::commits::{self, Commits};

const LOCK: &str = "slipway.lock";

/// How many commits each database held at the last start, a line each.
const COMMITS: &str = "commits";

/// A data directory that this process holds. The lock ends with the process, however it
/// ends.
pub(super) struct DataDir {
    path: PathBuf,
    /// Whether there was nothing in its databases.
    is_new: bool,
    /// How many commits each database held when it was taken.
    commits: BTreeMap<String, Commits>,
    _lock: File,
}

impl DataDir {
    /// Takes the directory at `path`, in which a process keeps these databases.
    ///
    /// # Errors
    /// If it cannot be used, another process holds it, or some of its databases are missing or
    /// older than at the last start.
    pub(super) fn take(path: &Path, databases: &[&str]) -> anyhow::Result<Self> {
        let place = path.display();
        ensure!(!path.is_file(), "the data directory {place} is a file");
        create(path).with_context(|| format!("the data directory {place} cannot be made"))?;
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
                // Only for the message.
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
            commits: BTreeMap::new(),
            _lock: lock,
        };
        taken.is_new = taken.complete(databases)?;
        taken.commits = taken.count_commits(databases)?;
        Ok(taken)
    }

    /// Makes the databases that are missing, if this is the first start. Whether it is.
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
                    .with_context(|| format!("{} cannot be made", path.display()))?;
            }
            return Ok(true);
        }
        if let Some(first) = missing.first() {
            bail!(
                "{} missing, but {} there. Restore all of them from the same backup. To begin \
                 without what a missing one held, make an empty file in its place: touch {}",
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

    /// How many commits each database holds. Refuses those that held more at the last start.
    fn count_commits(&self, databases: &[&str]) -> anyhow::Result<BTreeMap<String, Commits>> {
        let note = self.file(COMMITS);
        let text = match fs::read_to_string(&note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("{} cannot be read", note.display()))?,
        };
        // A line that is cut short, after a crash of the machine, says less and harms nothing.
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let mut commits: BTreeMap<_, _> = lines
            .filter_map(|(name, commits)| Some((name.to_owned(), Commits::parse(commits)?)))
            .collect();
        let mut older = Vec::new();
        for name in databases {
            let path = self.database(name);
            let unreadable = || format!("{} cannot be read", path.display());
            let held = commits::in_file(&path).with_context(unreadable)?;
            let before = commits.insert((*name).to_owned(), held);
            // One that is empty is begun anew on purpose.
            let is_empty = fs::metadata(&path).with_context(unreadable)?.len() == 0;
            if before.is_some_and(|before| before.is_after(held)) && !is_empty {
                older.push(path);
            }
        }
        ensure!(
            older.is_empty(),
            "{} older than at the last start, and so older than what belongs to it in the other \
             databases. Restore all of them from the same backup, into an empty directory. To go \
             on with what each of them holds, delete {}",
            listed(&older),
            note.display()
        );
        Ok(commits)
    }

    /// Notes, for the next start, how many commits each database held when the directory was
    /// taken. To be called when all of them are found to be what they should be.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub(super) fn note_commits(&self) -> anyhow::Result<()> {
        let note = self.file(COMMITS);
        let lines = self.commits.iter();
        let lines = lines.map(|(name, held)| format!("{name} {held}\n"));
        fs::write(&note, lines.collect::<String>())
            .with_context(|| format!("{} cannot be written", note.display()))
    }

    /// Whether there was nothing in its databases when it was taken.
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

/// Makes the directory, open to its owner only: it will hold keys.
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
    fn a_second_holder_is_refused_and_told_of_the_first() {
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
    fn a_database_that_is_missing_beside_others_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let take = || DataDir::take(dir.path(), &["a", "b"]);
        let (a, b) = (dir.path().join("a.db"), dir.path().join("b.db"));
        // A first start makes all of them, also if it ends before anything is in them.
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
    async fn a_database_that_is_older_than_at_the_last_start_is_refused_with_what_to_do() {
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
        let backup = fs::read(&path).unwrap();
        for _ in 0..2 {
            start();
            run().await;
        }
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
        // And one may be begun anew.
        run().await;
        start();
        fs::write(&path, "").unwrap();
        fs::write(dir.path().join("b.db"), "content").unwrap();
        start();
    }

    #[test]
    fn what_cannot_be_a_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(DataDir::take(&path, &[]).is_err());
    }
}
