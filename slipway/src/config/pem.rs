//! PEM files that configuration keys name, and that may change while the process runs.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use slipway_rpc::grpc::TlsError;
use slipway_runtime::file;

/// A PEM file with what was read from it.
#[derive(Clone)]
pub struct PemFile<T> {
    path: PathBuf,
    pem: Arc<[u8]>,
    read: fn(&[u8]) -> Result<T, TlsError>,
    value: T,
}

impl<T> PemFile<T> {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it; completes a sentence that begins with its name.
    pub(super) fn read(
        path: PathBuf,
        read: fn(&[u8]) -> Result<T, TlsError>,
    ) -> Result<Self, String> {
        let pem = file::read(&path).map_err(|error| format!("cannot be read: {error}"))?;
        let value = read(&pem).map_err(|error| error.to_string())?;
        Ok(Self {
            path,
            pem: pem.into(),
            read,
            value,
        })
    }

    /// Reads the file as it is now.
    ///
    /// # Errors
    /// What is wrong with it, with its name.
    pub(super) fn again(&self) -> Result<Self, String> {
        let read = Self::read(self.path.clone(), self.read);
        read.map_err(|wrong| format!("{} {wrong}", self.path.display()))
    }

    /// Whether the file has another content now, or cannot be read.
    pub(super) fn has_changed(&self) -> bool {
        file::read(&self.path).map_or(true, |pem| *pem != *self.pem)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was read.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }
}

/// Without the text, which may be a key.
impl<T> fmt::Debug for PemFile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PemFile").field(&self.path).finish()
    }
}
