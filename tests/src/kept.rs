//! Data of an earlier version, kept in the repository: every later one opens it and answers
//! from it what that version answered.
//!
//! What is kept is in `tests/kept/`, a directory for each layout of the data: the SQLite files
//! of a process that was stopped, the documents of its MongoDB databases, and for each of the
//! two what the process answered. The program `slipway-kept` writes the one of this version.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ADMIN_PASSWORD, Backbones, Options, Process, team::PASSWORD};

/// What is answered from the data.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    /// In the order in which they were given.
    pub answers: Vec<Answered>,
}

/// One answer.
#[derive(Serialize, Deserialize)]
pub struct Answered {
    /// Whose question it was.
    pub by: String,
    /// What was asked for.
    pub path: String,
    /// The body.
    pub answer: Value,
}

/// Where the data of a layout is kept.
#[must_use]
pub fn directory(layout: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("kept")
        .join(layout)
}

/// What is old is not deleted while it is looked at.
#[must_use]
pub fn forgetting_nothing(options: Options) -> Options {
    options
        .env("SLIPWAY_ACTIVITY_RETENTION", "36500d")
        .env("SLIPWAY_NOTIFICATION_RETENTION", "36500d")
}

/// A process on MongoDB, with a bus of its own.
///
/// # Errors
/// If its keys cannot be written into `keys`.
pub fn on_mongodb(backbones: &Backbones, keys: &Path) -> std::io::Result<Options> {
    let options = forgetting_nothing(Options::default().signing(keys)?);
    Ok(options.env("SLIPWAY_MONGODB_URL", &backbones.mongodb))
}

/// What is answered to the user `by`.
///
/// # Errors
/// If they cannot be signed in, or there is no answer.
///
/// # Panics
/// If it is not 200.
pub async fn ask(server: &Process, by: &str, path: &str) -> anyhow::Result<Value> {
    let password = match by {
        "admin" => ADMIN_PASSWORD,
        _ => PASSWORD,
    };
    let client = server.client().login(by, password).await?;
    Ok(client.get(path).await?.expect(200))
}

/// Copies the files of a directory that are wanted.
///
/// # Errors
/// If they cannot be copied.
pub fn copy(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_wanted(&name.to_string_lossy()) {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}
