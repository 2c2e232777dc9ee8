//! Reads JSON from users strictly, with the place of each error.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use slipway_runtime::json::{Objects, Wrong};

/// Why JSON is not as expected.
#[derive(Debug)]
pub struct Error {
    wrong: Wrong,
    line: usize,
    column: usize,
}

impl Error {
    /// `path` is a path such as `tasks[1]`; empty for the whole document.
    fn at(path: &str, error: &serde_json::Error) -> Self {
        Self {
            wrong: Wrong::json(path, error),
            line: error.line(),
            column: error.column(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wrong {
            Wrong::Field { .. } => {
                let (line, column) = (self.line, self.column);
                write!(f, "{} (line {line}, column {column})", self.wrong)
            }
            // The text has its own place.
            Wrong::Text(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

/// Parses `text`. Refuses a blank text, text after the value, arrays instead of objects, and
/// duplicate names in an object.
///
/// # Errors
/// What is wrong, and where.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    // Without blanks at the end, so that a blank text is empty.
    let mut json = serde_json::Deserializer::from_str(text.trim_ascii_end());
    let value = serde_path_to_error::deserialize(Objects(&mut json))
        .map_err(|error| Error::at(&error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| Error::at("", &error))?;
    Ok(value)
}

/// Writes `value` with a line for each field.
pub(crate) fn write(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    text.expect("text, numbers and lists of them can always be written as JSON") + "\n"
}
