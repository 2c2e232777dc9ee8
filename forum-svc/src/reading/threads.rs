//! The interface that reading needs from a store.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    comment::{Comment, CommentId, PlacedComment, Position, position::KeyRange},
    store::StoreError,
};

/// A comment without its text: enough to count it and to continue after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentSummary {
    /// Its id.
    pub id: CommentId,
    /// Levels below the root of the thread.
    pub depth: u32,
    /// Its position in the reading order.
    pub position: Position,
    /// Number of direct replies, including deleted ones.
    pub reply_count: u64,
}

impl From<&PlacedComment> for CommentSummary {
    fn from(placed: &PlacedComment) -> Self {
        Self {
            id: placed.comment.id,
            depth: placed.comment.depth,
            position: placed.position.clone(),
            reply_count: placed.comment.reply_count,
        }
    }
}

/// The store that threads are read from. A trait, so that tests can count the queries.
#[async_trait]
pub trait Threads: Send + Sync {
    /// One comment.
    ///
    /// # Errors
    /// If the store is unavailable.
    async fn comment(&self, id: CommentId) -> Result<Option<PlacedComment>, StoreError>;

    /// These comments, in no particular order.
    ///
    /// # Errors
    /// If the store is unavailable.
    async fn comments(&self, ids: &[CommentId]) -> Result<Vec<Comment>, StoreError>;

    /// The first comments of a range in reading order, at most `limit`.
    ///
    /// # Errors
    /// If the store is unavailable.
    async fn range(&self, stretch: &KeyRange, limit: u32)
    -> Result<Vec<PlacedComment>, StoreError>;

    /// The same without their texts.
    ///
    /// # Errors
    /// If the store is unavailable.
    async fn outline(
        &self,
        stretch: &KeyRange,
        limit: u32,
    ) -> Result<Vec<CommentSummary>, StoreError>;
}
