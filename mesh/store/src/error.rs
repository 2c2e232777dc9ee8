//! Why a store did not do what it was asked to.

use slipway_mongo as mongo;
use slipway_rpc::error::Fault;
use slipway_sqlite as sqlite;

use crate::write::Refusal;

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

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::unavailable("The database", error)
    }
}
