//! Errors of a store, and their translation for clients.

use std::time::Duration;

use slipway_mongo as mongo;
use slipway_rpc::error::{Fault, Kind};
use slipway_sqlite as sqlite;

use crate::{document::Document, write::Refusal};

/// A database operation failed. After a write it is unknown whether the change is stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Error of SQLite.
    #[error(transparent)]
    Sqlite(#[from] sqlite::StorageError),
    /// Error of MongoDB.
    #[error(transparent)]
    Mongo(#[from] mongo::StorageError),
    /// A stored document cannot be decoded as its type.
    #[error("the document {id} in {collection} cannot be read")]
    Malformed {
        /// Its collection.
        collection: &'static str,
        /// Its id.
        id: String,
        /// What is wrong with it.
        #[source]
        source: std::sync::Arc<serde_json::Error>,
    },
    /// A stored document has another schema number than this version reads.
    #[error("the document {id} in {collection} has schema {found}, and this version reads {known}")]
    Schema {
        /// Its collection.
        collection: &'static str,
        /// Its id.
        id: String,
        /// Its schema number.
        found: u32,
        /// The number that this version reads.
        known: u32,
    },
    /// A write was refused for a reason that its collection should rule out.
    #[error("a write was refused: {0}")]
    Refused(#[from] Refusal),
    /// Other writers were faster in every attempt.
    #[error("the document {id} in {collection} was changed by others in every attempt")]
    Contended {
        /// Its collection.
        collection: &'static str,
        /// Its id.
        id: String,
    },
    /// A value cannot be stored: the revision number is too large, or the document cannot be
    /// serialised.
    #[error("a document cannot be stored: {0}")]
    Unstorable(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.into())
    }
}

impl StoreError {
    /// The error if other writers of this document were faster in every attempt.
    #[must_use]
    pub fn contended<D: Document>(id: &impl ToString) -> Self {
        Self::Contended {
            collection: D::COLLECTION.name,
            id: id.to_string(),
        }
    }

    /// The id of the stored document that cannot be decoded, if that is the error.
    pub(crate) fn undecodable(&self) -> Option<&str> {
        match self {
            Self::Malformed { id, .. } | Self::Schema { id, .. } => Some(id),
            _ => None,
        }
    }

    /// A sentence for clients if the database can be reached but not written.
    fn disturbance(&self) -> Option<&'static str> {
        let (is_full, refuses_writes) = match self {
            Self::Sqlite(error) => (error.is_full(), error.refuses_writes()),
            Self::Mongo(error) => (error.is_full(), error.refuses_writes()),
            _ => return None,
        };
        match is_full {
            true => {
                Some("The disk of the database is full. Nothing is stored until there is room.")
            }
            false => refuses_writes.then_some("The database cannot be written at the moment."),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        // The receipt contains the answer (`receipts::once`), unless it has expired in the
        // meantime.
        if let StoreError::Refused(Refusal::Receipt) = error {
            let detail = "The same request was carried out before. Nothing was done; try again.";
            return Self::new(Kind::Contended, "CONTENDED", detail);
        }
        match error.disturbance() {
            Some(detail) => {
                tracing::warn!(%error, "database cannot be written");
                Self::new(Kind::Unavailable, "UNAVAILABLE", detail)
                    .retry_after(Duration::from_secs(1))
            }
            None => Self::unavailable("The database", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn detail_of(code: i32) -> String {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let fault = Fault::from(StoreError::from(sqlite::StorageError::from(error)));
        assert_eq!(fault.kind, Kind::Unavailable);
        fault.detail
    }

    #[test]
    fn a_full_disk_and_an_unreachable_database_have_different_messages() {
        assert!(detail_of(ffi::SQLITE_FULL).contains("is full"));
        assert!(detail_of(ffi::SQLITE_IOERR_WRITE).contains("cannot be written"));
        assert!(detail_of(ffi::SQLITE_BUSY).contains("cannot be reached"));
    }
}
