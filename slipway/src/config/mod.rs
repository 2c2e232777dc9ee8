//! The configuration: collected in layers, validated as a whole before anything is bound.
//!
//! Defaults < `slipway.toml` (or `--config`) < `SLIPWAY_*` environment < flags. The environment
//! may name a file with a secret instead: `SLIPWAY_*_FILE`.
//!
//! | to find | look in |
//! | --- | --- |
//! | the table of keys: name, type, default, format, description | [`settings`] |
//! | what is made from the table | [`keys`] |
//! | the formats of values, and how they are described | [`format`] |
//! | which text a key has, and where it comes from | [`layers`] |
//! | what the values need of each other | [`rules`], [`kafka`], [`tls`] |
//!
//! Everything that is wrong is reported together, with its value unless that could be a secret.
//! Every role validates every key, so that one file can serve all; what it does not read it names
//! in its log ([`Layers::unused`]).

use std::fmt;

mod format;
mod kafka;
mod keys;
mod layers;
mod pem;
mod rules;
mod secret;
mod settings;
mod tls;

pub use keys::{Fallback, Key};
pub use layers::{Effective, Layers, Origin, Sources};
pub use pem::PemFile;
pub use secret::Secret;
pub use settings::{ALL, KEYS, Keys, Settings};
pub use tls::Tls;

/// The configuration is not valid: everything that is wrong with it.
#[derive(Debug, Clone, Default, thiserror::Error)]
pub struct Invalid {
    /// Those of the file by their lines, then the others in the order in which the layers and then
    /// the keys were read.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not valid:")?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key as it is written where it was found, for example `SLIPWAY_HTTP_ADDR`, or a
    /// file.
    pub place: String,
    /// What is wrong and what is expected.
    pub message: String,
    /// The line in the file, if it is there.
    line: Option<usize>,
}

impl Problem {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
            line: None,
        }
    }

    /// The same, in this line of the file.
    fn in_line(self, line: Option<usize>) -> Self {
        Self { line, ..self }
    }
}

/// The key called `name`, if there is one.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    ALL.iter().copied().find(|key| key.name == name)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

#[cfg(test)]
mod tests;
