//! The file `commits` of a data directory: what each of its databases was when it was last used.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use slipway_sqlite::commits::{self, Commits};

/// Written for an unknown id.
const UNKNOWN: &str = "-";

/// Written for a database that is closed.
const CLOSED: &str = "closed";

/// What a database is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// The number of commits that its file certainly contains.
    pub(super) commits: Commits,
    /// Its id, if it is known.
    pub(super) id: Option<String>,
    /// Whether its file contains everything, and stays as it is until it is opened again.
    pub(super) is_closed: bool,
}

impl Note {
    /// What the database in the file at `path` is. If it is complete, it counts as closed.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        let read = || -> io::Result<Self> {
            Ok(Self {
                commits: commits::in_file(path)?,
                id: slipway_sqlite::id(path),
                is_closed: commits::is_complete(path)?,
            })
        };
        read().with_context(|| format!("{} cannot be read", path.display()))
    }

    /// Reads what follows the name in a line. Earlier versions wrote only the number.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split_whitespace();
        Some(Self {
            commits: Commits::parse(parts.next()?)?,
            id: parts.next().filter(|id| *id != UNKNOWN).map(str::to_owned),
            is_closed: parts.next() == Some(CLOSED),
        })
    }

    fn line(&self, name: &str) -> String {
        let id = self.id.as_deref().unwrap_or(UNKNOWN);
        let state = if self.is_closed { CLOSED } else { "open" };
        format!("{name} {} {id} {state}\n", self.commits)
    }
}

/// The content of the file: a line for each database.
#[derive(Debug)]
pub(super) struct Notes {
    path: PathBuf,
    by_name: BTreeMap<String, Note>,
}

impl Notes {
    /// Reads the file at `path`, if it exists.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(path: PathBuf) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("{} cannot be read", path.display()))?,
        };
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let notes = lines.filter_map(|(name, rest)| Some((name.to_owned(), Note::parse(rest)?)));
        let by_name = notes.collect();
        Ok(Self { path, by_name })
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// If it cannot be written; then it stays as it is.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let lines = self.by_name.iter().map(|(name, note)| note.line(name));
        let text = lines.collect::<String>();
        let draft = self.path.with_added_extension("tmp");
        let write = || -> io::Result<()> {
            let mut file = File::create(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &self.path)
        };
        write().with_context(|| format!("{} cannot be written", self.path.display()))
    }

    /// What the database called `name` was.
    pub(super) fn of(&self, name: &str) -> Option<&Note> {
        self.by_name.get(name)
    }

    /// Notes the id of the database called `name`, which is open.
    pub(super) fn opened(&mut self, name: &str, id: Option<String>) {
        let note = self.by_name.entry(name.to_owned());
        note.or_default().id = id;
    }

    /// Whether no database is known.
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Forgets the database called `name`.
    pub(super) fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// Notes what the database called `name` is.
    pub(super) fn insert(&mut self, name: &str, note: Note) {
        self.by_name.insert(name.to_owned(), note);
    }
}
