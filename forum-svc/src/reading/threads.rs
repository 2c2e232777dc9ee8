//! What reading needs of a store.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    comment::{Comment, CommentId, PlacedComment, Position, position::KeyRange},
    store::StoreError,
};

/// A comment without what it says: enough to count it and to go on behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentSummary {
    /// Its id.
    pub id: CommentId,
    /// How far down it is.
    pub depth: u32,
    /// Where it stands.
    pub position: Position,
    /// How many direct replies it has, deleted ones included.
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

/// Where threads are read from: the store. A trait, so that tests can count what is asked.
#[async_trait]
pub trait Threads: Send + Sync {
    /// One comment.
    ///
    /// # Errors
    /// If the store is away.
    async fn comment(&self, id: CommentId) -> Result<Option<PlacedComment>, StoreError>;

    /// These comments, in no order.
    ///
    /// # Errors
    /// If the store is away.
    async fn comments(&self, ids: &[CommentId]) -> Result<Vec<Comment>, StoreError>;

    /// The first comments of a stretch in reading order, at most `limit`.
    ///
    /// # Errors
    /// If the store is away.
    async fn range(&self, stretch: &KeyRange, limit: u32)
    -> Result<Vec<PlacedComment>, StoreError>;

    /// The same without what they say.
    ///
    /// # Errors
    /// If the store is away.
    async fn outline(
        &self,
        stretch: &KeyRange,
        limit: u32,
    ) -> Result<Vec<CommentSummary>, StoreError>;
}
