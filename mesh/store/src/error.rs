//! Why a store did not do what it was asked to.

use std::time::Duration;

use slipway_mongo as mongo;
use slipway_rpc::error::{Fault, Kind};
use slipway_sqlite as sqlite;

use crate::{document::Document, write::Refusal};

/// The database did not do what it was asked to. After a write it is not known whether the
/// change is stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// SQLite's reason.
    #[error(transparent)]
    Sqlite(#[from] sqlite::StorageError),
    /// MongoDB's reason.
    #[error(transparent)]
    Mongo(#[from] mongo::StorageError),
    /// A stored document does not have the form that its type has.
    #[error("the document {id} in {collection} cannot be read")]
    Malformed {
        /// Where it is.
        collection: &'static str,
        /// Its id.
        id: String,
        /// What is wrong with it.
        #[source]
        source: std::sync::Arc<serde_json::Error>,
    },
    /// A stored document has another schema number than this version knows.
    #[error("the document {id} in {collection} has schema {found}, and this version reads {known}")]
    Schema {
        /// Where it is.
        collection: &'static str,
        /// Its id.
        id: String,
        /// Its number.
        found: u32,
        /// The number that this version reads.
        known: u32,
    },
    /// A write was refused for a reason that its collection should not have.
    #[error("a write was refused: {0}")]
    Refused(#[from] Refusal),
    /// Others were faster every time.
    #[error("others keep changing the document {id} in {collection}")]
    Contended {
        /// Where it is.
        collection: &'static str,
        /// Its id.
        id: String,
    },
    /// A value cannot be stored: the number of a revision is too large, or a document
    /// cannot be serialised.
    #[error("a document cannot be stored: {0}")]
    Unstorable(String),
}

impl StoreError {
    /// Others were faster every time with this document.
    #[must_use]
    pub fn contended<D: Document>(id: &impl ToString) -> Self {
        Self::Contended {
            collection: D::COLLECTION.name,
            id: id.to_string(),
        }
    }

    /// What is wrong with a database that can be reached.
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
        // Its receipt has the answer (`receipts::once`), unless it has expired meanwhile.
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

    fn told(code: i32) -> String {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let fault = Fault::from(StoreError::from(sqlite::StorageError::from(error)));
        assert_eq!(fault.kind, Kind::Unavailable);
        fault.detail
    }

    #[test]
    fn a_full_disk_is_told_from_a_database_that_is_away() {
        assert!(told(ffi::SQLITE_FULL).contains("is full"));
        assert!(told(ffi::SQLITE_IOERR_WRITE).contains("cannot be written"));
        assert!(told(ffi::SQLITE_BUSY).contains("cannot be reached"));
    }
}
