//! Programs that some tests need and that are not part of this workspace.

use std::path::PathBuf;

use anyhow::bail;

/// Whether these programs are in the path. If not, says so on standard error.
///
/// # Errors
/// If they are required and missing.
pub fn are_installed(programs: &[&str]) -> anyhow::Result<bool> {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = std::env::split_paths(&dirs).collect();
    let is_there = |name: &&str| dirs.iter().any(|dir| dir.join(name).is_file());
    let Some(missing) = programs.iter().copied().find(|name| !is_there(name)) else {
        return Ok(true);
    };
    if std::env::var_os("SLIPWAY_TEST_REQUIRED").is_some() {
        bail!("{missing} is required");
    }
    eprintln!("SKIPPED: {missing} is not installed");
    Ok(false)
}
