//! Paths that people write, in the configuration and on the command line.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

/// Refuses a path that begins with `~`: a shell replaces that by the home directory, but not after
/// `=`, in quotes or in a file, and then a directory called `~` would be meant. A name that really
/// begins so can be written as `./~name`.
///
/// # Errors
/// What is wrong with it; continues a sentence that begins with the path.
pub(crate) fn check(path: &Path) -> Result<(), &'static str> {
    match path.as_os_str().as_encoded_bytes().first() {
        Some(b'~') => Err(
            "begins with ~, which a shell expands and Slipway does not; give the \
                           whole path",
        ),
        _ => Ok(()),
    }
}

/// The parser of every path on the command line.
pub(crate) fn parser() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| check(&path).map(|()| path))
}
