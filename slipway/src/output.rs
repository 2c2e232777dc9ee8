//! Standard output.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _},
    },
};

use anyhow::Context as _;

use crate::text::escape;

/// Why a command ends that cannot print.
pub(crate) const UNWRITABLE: &str = "standard output cannot be written";

/// Writes `text` to standard output.
///
/// # Errors
/// If it cannot be written; the cause is the [`io::Error`].
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.context(UNWRITABLE)
}

/// Writes a remark to standard error, where it is no part of what the command prints.
pub(crate) fn remark(text: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(io::stderr(), "slipway: {}", escape(text));
}

/// Refuses a standard output that keeps nothing: `/dev/null`, which also takes the place of one
/// that was closed before the start (`>&-`). For what is shown only once.
///
/// # Errors
/// If it is such a one.
pub(crate) fn check_kept() -> io::Result<()> {
    let is_null = || -> io::Result<bool> {
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()?;
        let null = fs::metadata("/dev/null")?;
        Ok(out.file_type().is_char_device() && out.rdev() == null.rdev())
    };
    // Where that cannot be found out, writing tells.
    match is_null() {
        Ok(true) => Err(io::Error::other("standard output is closed, or /dev/null")),
        Ok(false) | Err(_) => Ok(()),
    }
}
