//! A backup: a directory with copies of what is in a data directory, all of one moment.
//!
//! | file | what it is |
//! | --- | --- |
//! | `release.db`, … | the databases, each complete in its file |
//! | `commits` | the [`Notes`] about them, as after a clean stop |
//! | `jwt-key.pem`, `mail` | the signing keys, and mails that are files |
//! | `SHA256SUMS` | the checksums of all of these, as `sha256sum` writes them |
//!
//! The checksums are written last: a directory without them is no backup.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};
use slipway_sqlite::backup::Moment;

use super::{COMMITS, Note, Notes, create as create_dir};

/// The file with the checksums.
pub(crate) const SUMS: &str = "SHA256SUMS";

/// The databases that a data directory may have.
const DATABASES: [&str; 5] = ["release", "forum", "chat", "notify", "bus"];

/// The signing keys, and the directory of mails.
const KEYS: &str = "jwt-key.pem";
const MAIL: &str = "mail";

/// Whether there is a complete backup in the directory at `path`.
pub(crate) fn is_backup(path: &Path) -> bool {
    path.join(SUMS).is_file()
}

/// Copies what is in the data directory `data` into the directory `to`, which must be empty or
/// missing. A process may use the data directory meanwhile. Stops when `goes_on` says so. Returns
/// the names of the databases.
///
/// # Errors
/// If the data directory lacks a database, something cannot be read or written, or it was stopped.
/// Then `to` contains no backup.
pub(crate) fn create(
    data: &Path,
    to: &Path,
    goes_on: &dyn Fn() -> bool,
) -> anyhow::Result<Vec<&'static str>> {
    let names = databases(data)?;
    let paths: Vec<_> = names.iter().map(|name| database(data, name)).collect();
    prepare(to)?;
    Moment::of(&paths)?.copy(to, goes_on)?;
    let mut notes = Notes::read(to.join(COMMITS))?;
    for name in &names {
        notes.insert(name, Note::of(&database(to, name))?);
    }
    notes.write()?;
    copy_other(data, to)?;
    write_sums(to)?;
    Ok(names)
}

fn database(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.db"))
}

/// The databases in the data directory.
fn databases(data: &Path) -> anyhow::Result<Vec<&'static str>> {
    let noted = Notes::read(data.join(COMMITS))?;
    let mut names = Vec::new();
    for name in DATABASES {
        let path = database(data, name);
        if path
            .try_exists()
            .with_context(|| path.display().to_string())?
        {
            names.push(name);
        } else {
            let is_lost = noted.of(name).is_some();
            ensure!(!is_lost, "{} is missing", path.display());
        }
    }
    ensure!(
        !names.is_empty(),
        "there are no databases in {}",
        data.display()
    );
    Ok(names)
}

/// Creates the directory, or checks that it is empty.
fn prepare(to: &Path) -> anyhow::Result<()> {
    let place = to.display();
    create_dir(to).with_context(|| format!("{place} cannot be created"))?;
    let mut files = fs::read_dir(to).with_context(|| format!("{place} cannot be read"))?;
    ensure!(
        files.next().is_none(),
        "{place} is not empty. Name a directory that does not exist"
    );
    Ok(())
}

/// Copies what is no database: no process changes these files once they are there.
fn copy_other(data: &Path, to: &Path) -> anyhow::Result<()> {
    let keys = data.join(KEYS);
    if keys.is_file() {
        copy_file(&keys, &to.join(KEYS))?;
    }
    let mails = data.join(MAIL);
    if !mails.is_dir() {
        return Ok(());
    }
    create_dir(&to.join(MAIL))?;
    for mail in fs::read_dir(&mails).with_context(|| mails.display().to_string())? {
        let mail = mail?;
        // Others are being written.
        if Path::new(&mail.file_name()).extension() == Some(OsStr::new("eml")) {
            copy_file(&mail.path(), &to.join(MAIL).join(mail.file_name()))?;
        }
    }
    Ok(())
}

/// Copies a file into one that does not exist, and syncs it.
pub(super) fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut source = File::open(from).with_context(|| from.display().to_string())?;
    let mut copy = || -> io::Result<()> {
        let mut private = OpenOptions::new();
        private.write(true).create_new(true).mode(0o600);
        let mut file = private.open(to)?;
        io::copy(&mut source, &mut file)?;
        file.sync_all()
    };
    copy().with_context(|| format!("{} cannot be written", to.display()))
}

/// Writes the checksums of all files in the directory.
fn write_sums(dir: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for path in files(dir)? {
        let name = path.strip_prefix(dir)?.display();
        text.push_str(&format!("{}  {name}\n", sum(&path)?));
    }
    let draft = dir.join(SUMS).with_added_extension("tmp");
    let write = || -> io::Result<()> {
        let mut file = File::create(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, dir.join(SUMS))?;
        File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", draft.display()))
}

/// All files in the directory and in those below it, sorted.
fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(self::files(&path)?),
            false => files.push(path),
        }
    }
    files.sort();
    Ok(files)
}

/// The SHA-256 of a file, in hexadecimal digits.
pub(super) fn sum(path: &Path) -> anyhow::Result<String> {
    let read = || -> io::Result<String> {
        let (mut file, mut hash) = (File::open(path)?, Sha256::new());
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => hash.update(&buffer[..n]),
            }
        }
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    };
    read().with_context(|| format!("{} cannot be read", path.display()))
}
