//! The stores of forum-svc: one document per comment, with the event and the receipt that are
//! committed with it.
//!
//! A comment is never removed and never moves, so positions in the reading order are stable:
//! pages need no snapshot, and a cursor never expires.
//!
//! A reply writes two documents, in steps that are settled after a crash; see
//! [`placed`](crate::comment::placed) and `posting`.

mod document;
mod posting;
mod reading;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use slipway_bus::Event;
use slipway_mongo as mongo;
use slipway_rpc::error::Fault;
use slipway_runtime::life::Check;
use slipway_sqlite as sqlite;
use slipway_store::{Document as _, Documents, Schema};
use slipway_store::{
    outbox::OutboxStore,
    receipts::{Receipt, ReceiptStore},
};

use self::{document::Stored, posting::Turns};
use crate::comment::{Block, CommentId};

/// The MongoDB database of this service.
pub const DATABASE: &str = "slipway_forum";

/// The collections of this service.
pub const COLLECTIONS: Schema = &[Stored::COLLECTION];

/// The stores of this service, in one database.
#[derive(Clone)]
pub struct Stores {
    /// Comments.
    pub comments: CommentStore,
    /// Receipts of commands.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Events to be published.
    pub outbox: Arc<dyn OutboxStore>,
    /// Health check of the database.
    pub check: Arc<dyn Check>,
}

/// Comments with their positions.
#[derive(Clone)]
pub struct CommentStore {
    documents: Documents,
    turns: Turns,
}

impl Stores {
    /// The stores in the SQLite file at `path`, which is created if it does not exist.
    /// Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, sqlite::StorageError> {
        Ok(Self::of(Documents::sqlite(path, "forum", COLLECTIONS)?))
    }

    /// The stores in the MongoDB database `name`, usually [`DATABASE`]. Missing indexes are
    /// built.
    ///
    /// # Errors
    /// If the server is unavailable, an index exists with another definition, or the database is
    /// of a version without documents.
    pub async fn mongo(client: &mongo::Client, name: &str) -> Result<Self, mongo::StorageError> {
        let documents = Documents::mongo(client, name, COLLECTIONS).await?;
        Ok(Self::of(documents))
    }

    fn of(documents: Documents) -> Self {
        Self {
            receipts: documents.receipts(),
            outbox: documents.outbox(),
            check: Arc::new(documents.clone()),
            comments: CommentStore {
                documents,
                turns: Turns::default(),
            },
        }
    }
}

/// A failure of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or its answer is not valid.
    #[error(transparent)]
    Database(#[from] slipway_store::StoreError),
    /// The comment above a block of replies is missing: the database was changed by hand.
    #[error("block {} is below no comment", .0.0)]
    Detached(Block),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(error) => error.into(),
            StoreError::Detached(_) => Fault::unavailable("The database", error),
        }
    }
}

/// What is committed together with a new comment.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The event to be published.
    pub event: Event,
    /// The receipt, if the request has an idempotency key.
    pub receipt: Option<Receipt>,
}

/// Why a comment was not stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PostError {
    /// The comment to reply to is deleted.
    #[error("the comment was deleted meanwhile")]
    ParentDeleted(CommentId),
    /// The store failed. It is not known whether the comment is stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<slipway_store::StoreError> for PostError {
    fn from(error: slipway_store::StoreError) -> Self {
        Self::Store(error.into())
    }
}
