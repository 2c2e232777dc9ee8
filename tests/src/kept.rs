//! Data of an earlier version that is stored in the repository: every later version opens it and
//! must return the same answers from it.
//!
//! It is in `tests/kept/`, in one directory for each layout: the SQLite files of a stopped process,
//! the documents of its MongoDB databases, and the answers of both. The program `slipway-kept`
//! writes the one of this version.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ADMIN_PASSWORD, Backbones, Options, Process, team::PASSWORD};

/// The recorded answers.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    /// In the order in which they were given.
    pub answers: Vec<Answered>,
}

/// One answer.
#[derive(Serialize, Deserialize)]
pub struct Answered {
    /// The user who asked.
    pub by: String,
    /// The path that was requested.
    pub path: String,
    /// The body.
    pub answer: Value,
}

/// The directory with the data of a layout.
#[must_use]
pub fn directory(layout: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("kept")
        .join(layout)
}

/// Retention so long that no old data is deleted.
#[must_use]
pub fn forgetting_nothing(options: Options) -> Options {
    options
        .env("SLIPWAY_ACTIVITY_RETENTION", "36500d")
        .env("SLIPWAY_NOTIFICATION_RETENTION", "36500d")
}

/// Options of a process on MongoDB, with its own bus.
///
/// # Errors
/// If its keys cannot be written into `keys`.
pub fn on_mongodb(backbones: &Backbones, keys: &Path) -> std::io::Result<Options> {
    let options = forgetting_nothing(Options::default().signing(keys)?);
    Ok(options.env("SLIPWAY_MONGODB_URL", &backbones.mongodb))
}

/// The answer to the user `by`.
///
/// # Errors
/// If signing in fails, or there is no answer.
///
/// # Panics
/// If the status is not 200.
pub async fn ask(server: &Process, by: &str, path: &str) -> anyhow::Result<Value> {
    let password = match by {
        "admin" => ADMIN_PASSWORD,
        _ => PASSWORD,
    };
    let client = server.client().login(by, password).await?;
    Ok(client.get(path).await?.expect(200))
}

/// Copies the wanted files of a directory.
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
