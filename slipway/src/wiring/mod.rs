//! Builds the services of a role from the settings and runs them until they are told to
//! stop.

use std::path::PathBuf;

use crate::{cli::Role, config::Settings};

/// Runs `role` until the process is told to stop.
///
/// # Errors
/// If it cannot start, or does not stop cleanly.
pub async fn run(
    role: Role,
    _settings: Settings,
    _ready_file: Option<PathBuf>,
) -> anyhow::Result<()> {
    anyhow::bail!("the {role} role is not wired yet")
}
