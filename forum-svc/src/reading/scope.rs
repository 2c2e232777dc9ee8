//! The part of a discussion that is read.

use super::{CommentSummary, Threads};
use crate::{
    comment::{
        Block, CommentId, PlacedComment, Position, TaskId,
        position::{Key, KeyRange},
    },
    store::StoreError,
};

/// The part of a discussion that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All threads of a task.
    Task(TaskId),
    /// The replies to a comment, at any depth.
    Below(CommentSummary),
}

impl Scope {
    /// The depth of its uppermost comments.
    #[must_use]
    pub fn top(&self) -> u32 {
        match self {
            Self::Task(_) => 0,
            Self::Below(comment) => comment.depth + 1,
        }
    }

    /// Whether a comment of the same task belongs to it.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub async fn contains(
        &self,
        store: &dyn Threads,
        placed: &PlacedComment,
    ) -> Result<bool, StoreError> {
        let Self::Below(top) = self else {
            return Ok(true);
        };
        let (mut depth, mut at) = (placed.comment.depth, placed.position.clone());
        // Go up, block by block.
        while depth > top.depth && at.block != top.position.block {
            if at.block == Block::from(top.id) {
                return Ok(true);
            }
            let Some(above) = store.comment(CommentId(at.block.0)).await? else {
                return Ok(false);
            };
            (depth, at) = (above.comment.depth, above.position);
        }
        let Position { block, key } = &top.position;
        Ok(at.block == *block && at.key > *key && at.key < key.behind_replies())
    }

    /// The topmost block of the scope.
    pub(super) fn block(&self) -> Block {
        match self {
            Self::Task(task) => (*task).into(),
            Self::Below(comment) => comment.position.block,
        }
    }

    /// The part of a block that belongs to the scope, after the key `after`.
    pub(super) fn stretch(&self, block: Block, after: Key) -> KeyRange {
        let before = match self {
            Self::Below(comment) if comment.position.block == block => {
                comment.position.key.behind_replies()
            }
            _ => Key::end(),
        };
        KeyRange {
            block,
            after,
            before,
        }
    }
}
