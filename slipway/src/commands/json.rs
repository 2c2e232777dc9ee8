//! JSON that people write: read strictly, and faults told with their place.

use std::fmt;

use serde::de::DeserializeOwned;
use slipway_mesh::json::Objects;

/// Why JSON is not what is expected.
#[derive(Debug)]
pub(super) struct Error {
    /// Such as `tasks[1]`; empty for the whole.
    path: String,
    /// With line and column.
    source: serde_json::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() || self.path == "." {
            self.source.fmt(f)
        } else {
            write!(f, "{}: {}", self.path, self.source)
        }
    }
}

impl std::error::Error for Error {}

/// What `text` says, and nothing besides. Lists in place of objects are refused, and names
/// that an object has twice.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(Objects(&mut json)).map_err(|error| Error {
        path: error.path().to_string(),
        source: error.into_inner(),
    })?;
    json.end().map_err(|source| Error {
        path: String::new(),
        source,
    })?;
    Ok(value)
}
