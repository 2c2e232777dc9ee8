//! Makes a data directory from a backup.

use std::{
    fs::{self, File},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};

use super::{
    COMMITS, LOCK,
    backup::{SUMS, copy_file, sum},
    create, lock,
};

/// What may be in a directory that counts as empty: the lock, and what a file system has in its
/// root.
const NOTHING: [&str; 2] = [LOCK, "lost+found"];

/// Copies the backup in the directory `from` into the data directory `data`, which must be empty
/// or missing. Returns the number of databases.
///
/// A crash leaves either everything, or a directory that no process starts on: the notes about the
/// databases come first, and the databases last.
///
/// # Errors
/// If `from` is no backup, or was changed since it was made; or if `data` is not empty, is in use or
/// cannot be written.
pub(crate) fn restore(from: &Path, data: &Path) -> anyhow::Result<usize> {
    let mut names = verified(from)?;
    let _locks = lock(data)?;
    let place = data.display();
    for entry in fs::read_dir(data).with_context(|| format!("{place} cannot be read"))? {
        let name = entry?.file_name();
        ensure!(
            NOTHING.iter().any(|nothing| name == *nothing),
            "the data directory {place} is not empty. Restore into another one, or move away what \
             is in it"
        );
    }
    names.sort_by_key(|name| (name != Path::new(COMMITS), is_database(name)));
    for name in &names {
        let to = data.join(name);
        if let Some(parent) = to.parent() {
            create(parent).with_context(|| format!("{} cannot be created", parent.display()))?;
        }
        let draft = to.with_added_extension("tmp");
        copy_file(&from.join(name), &draft)?;
        let rename = fs::rename(&draft, &to);
        rename.with_context(|| format!("{} cannot be written", to.display()))?;
    }
    let sync = File::open(data).and_then(|directory| directory.sync_all());
    sync.with_context(|| format!("{place} cannot be written"))?;
    Ok(names.iter().filter(|name| is_database(name)).count())
}

fn is_database(name: &Path) -> bool {
    name.extension().is_some_and(|extension| extension == "db")
}

/// The names of the files in a backup, each of which has its checksum.
fn verified(from: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let sums = from.join(SUMS);
    let text = fs::read_to_string(&sums).with_context(|| {
        let place = from.display();
        format!(
            "{place} is no complete backup: its file {SUMS}, which is written last, cannot be read"
        )
    })?;
    let mut names = Vec::new();
    for line in text.lines() {
        let Some((expected, name)) = line.split_once("  ") else {
            bail!("{} has a line that is no checksum", sums.display());
        };
        let name = Path::new(name);
        let is_below = name
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        ensure!(is_below, "{} names {}", sums.display(), name.display());
        let path = from.join(name);
        ensure!(
            sum(&path)? == expected,
            "{} is not as it was when the backup was made. Use another backup",
            path.display()
        );
        names.push(name.to_owned());
    }
    ensure!(
        names.iter().any(|name| is_database(name)),
        "{} names no database",
        sums.display()
    );
    Ok(names)
}
