//! How much of a discussion is read.

use super::{Outline, Threads};
use crate::{
    comment::{
        Block, CommentId, Placed, Position, TaskId,
        position::{Key, Stretch},
    },
    store::StoreError,
};

/// How much of a discussion is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All threads of a task.
    Task(TaskId),
    /// The replies to a comment, at any depth.
    Below(Outline),
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
    /// If the store is away.
    pub async fn contains(&self, store: &dyn Threads, placed: &Placed) -> Result<bool, StoreError> {
        let Self::Below(top) = self else {
            return Ok(true);
        };
        let (mut depth, mut at) = (placed.comment.depth, placed.position.clone());
        // From block to block upwards.
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

    /// The block that all of it is in or below.
    pub(super) fn block(&self) -> Block {
        match self {
            Self::Task(task) => (*task).into(),
            Self::Below(comment) => comment.position.block,
        }
    }

    /// What of a block belongs to it, behind `after`.
    pub(super) fn stretch(&self, block: Block, after: Key) -> Stretch {
        let before = match self {
            Self::Below(comment) if comment.position.block == block => {
                comment.position.key.behind_replies()
            }
            _ => Key::end(),
        };
        Stretch {
            block,
            after,
            before,
        }
    }
}
