//! What the forum needs of a store. A backend supplies these traits and a constructor; the
//! tests in `contract` run on each.
//!
//! A comment is never removed and never moves, so that every place in the reading order
//! stays where it is: pages need no snapshot, and a cursor is good for ever.

pub mod mongo;
pub mod sqlite;

#[cfg(test)]
mod contract;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_bus::Event;
use slipway_rpc::{error::Fault, page::Page};
use slipway_runtime::life::Check;
use slipway_store::{outbox::OutboxStore, receipts::{Receipt, ReceiptStore}};

use crate::comment::{
    Comment, CommentId, Placed, Position,
    position::{Ordinal, Stretch},
};

/// The stores of this service, on one backend.
#[derive(Clone)]
pub struct Stores {
    /// Comments.
    pub comments: Arc<dyn CommentStore>,
    /// Receipts of commands.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Events to be published.
    pub outbox: Arc<dyn OutboxStore>,
    /// Whether the backend is there.
    pub check: Arc<dyn Check>,
}

/// The store did not answer, or not sensibly.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::unavailable("The database", error)
    }
}

/// What is committed along with a new comment.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The event to be published.
    pub event: Event,
    /// The receipt, if the request asked for one.
    pub receipt: Option<Receipt>,
}

/// Why a comment was not stored; nothing of it is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PostError {
    /// The comment to reply to is deleted.
    #[error("the comment was deleted meanwhile")]
    ParentDeleted(CommentId),
    /// The request has been carried out already.
    #[error("there is a receipt already")]
    Receipt,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A comment without what it says: enough to count it and to go on behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Its id.
    pub id: CommentId,
    /// How far down it is.
    pub depth: u32,
    /// Where it stands.
    pub position: Position,
    /// How many direct replies it has, deleted ones included.
    pub reply_count: u64,
}

impl From<&Placed> for Outline {
    fn from(placed: &Placed) -> Self {
        Self {
            id: placed.comment.id,
            depth: placed.comment.depth,
            position: placed.position.clone(),
            reply_count: placed.comment.reply_count,
        }
    }
}

/// Comments at their places.
#[async_trait]
pub trait CommentStore: Send + Sync + 'static {
    /// Stores a comment that begins a thread.
    async fn begin(&self, comment: Comment, commit: Commit) -> Result<(), PostError>;

    /// Stores a reply to `parent`, behind those that are there, and counts it there. From
    /// the moment at which the parent is deleted there are no new replies to it.
    async fn reply(&self, parent: Placed, reply: Comment, commit: Commit) -> Result<(), PostError>;

    /// Stores `after` in the place of `before`, which it is an edit or a deletion of.
    /// Whether the stored revision was still that of `before`; if not nothing is stored.
    async fn change(&self, before: Comment, after: Comment) -> Result<bool, StoreError>;

    /// These comments, in no order.
    async fn comments(&self, ids: Vec<CommentId>) -> Result<Vec<Comment>, StoreError>;

    /// One comment.
    async fn comment(&self, id: CommentId) -> Result<Option<Placed>, StoreError>;

    /// The first comments of a stretch in reading order, at most `limit`.
    async fn range(&self, stretch: Stretch, limit: u32) -> Result<Vec<Placed>, StoreError>;

    /// The same without what they say.
    async fn outline(&self, stretch: Stretch, limit: u32) -> Result<Vec<Outline>, StoreError>;

    /// The direct replies to a comment behind the one with the number `after`, in their
    /// order.
    async fn replies(
        &self,
        parent: CommentId,
        after: Option<Ordinal>,
        limit: u32,
    ) -> Result<Page<Comment, Ordinal>, StoreError>;

    /// Settles what replies that were begun before `before` have left behind because
    /// their process ended between two writes. How many there were.
    async fn settle(&self, before: Timestamp) -> Result<u64, StoreError>;
}
