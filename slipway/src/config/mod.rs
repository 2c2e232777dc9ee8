//! The configuration: collected in layers, validated as a whole before anything is bound.
//!
//! Defaults < `slipway.toml` (or `--config`) < `SLIPWAY_*` environment < flags. The keys
//! stand in one table, [`keys`]; [`Layers`] finds out which text each has and where it
//! comes from; [`Settings`] is what the program works with. Everything that is wrong is
//! reported together, with its value unless that could be a secret.

use std::fmt;

mod kafka;
pub mod keys;
mod layers;
mod parse;
mod secret;
mod settings;
mod tls;

pub use keys::Key;
pub use layers::{Effective, Layers, Origin, Sources};
pub use secret::Secret;
pub use settings::Settings;
pub use tls::Tls;

/// The configuration cannot be used: everything that is wrong with it.
#[derive(Debug, Clone, Default, thiserror::Error)]
pub struct Invalid {
    /// In the order in which the layers and then the keys were read.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
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
}

impl Problem {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

#[cfg(test)]
mod tests;
