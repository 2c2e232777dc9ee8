//! Reads threads in order, by walking through the blocks of a discussion.
//!
//! A block is read by ranges. After a comment whose replies have their own block, the walk
//! descends into that block; at the end of a block it climbs to the comment above. Its state is
//! the path of blocks that it is in. It is not recursive, so a chain of any length needs no more
//! stack.

use std::collections::VecDeque;

use async_trait::async_trait;

use super::{CommentSummary, Scope, Threads};
use crate::{
    comment::{
        Block, CommentId, PlacedComment,
        position::{Key, KeyRange, Position},
    },
    store::StoreError,
};

/// A comment in a walk: whole, or as a summary.
#[async_trait]
pub(super) trait Step: Sized + Send {
    /// Fetches the first comments of a range.
    async fn fetch(
        store: &dyn Threads,
        stretch: &KeyRange,
        limit: u32,
    ) -> Result<Vec<Self>, StoreError>;

    fn id(&self) -> CommentId;
    fn depth(&self) -> u32;
    fn position(&self) -> &Position;
    fn reply_count(&self) -> u64;

    fn has_replies(&self) -> bool {
        self.reply_count() > 0
    }

    fn outline(&self) -> CommentSummary {
        CommentSummary {
            id: self.id(),
            depth: self.depth(),
            position: self.position().clone(),
            reply_count: self.reply_count(),
        }
    }
}

#[async_trait]
impl Step for PlacedComment {
    async fn fetch(
        store: &dyn Threads,
        stretch: &KeyRange,
        limit: u32,
    ) -> Result<Vec<Self>, StoreError> {
        store.range(stretch, limit).await
    }

    fn id(&self) -> CommentId {
        self.comment.id
    }

    fn depth(&self) -> u32 {
        self.comment.depth
    }

    fn position(&self) -> &Position {
        &self.position
    }

    fn reply_count(&self) -> u64 {
        self.comment.reply_count
    }
}

#[async_trait]
impl Step for CommentSummary {
    async fn fetch(
        store: &dyn Threads,
        stretch: &KeyRange,
        limit: u32,
    ) -> Result<Vec<Self>, StoreError> {
        store.outline(stretch, limit).await
    }

    fn id(&self) -> CommentId {
        self.id
    }

    fn depth(&self) -> u32 {
        self.depth
    }

    fn position(&self) -> &Position {
        &self.position
    }

    fn reply_count(&self) -> u64 {
        self.reply_count
    }
}

/// A block that is being read.
struct Frame<S> {
    /// The range that is neither fetched nor skipped yet.
    left: KeyRange,
    /// Comments that are fetched and not returned yet.
    ahead: VecDeque<S>,
    /// Whether nothing is left to fetch.
    ended: bool,
}

/// The place of a comment in a walk, so that its replies can be skipped later.
pub(super) struct Mark {
    /// Number of frames at this comment.
    frames: usize,
    key: Key,
}

/// A walk in reading order.
pub(super) struct Walk<'a, S> {
    store: &'a dyn Threads,
    scope: &'a Scope,
    /// The blocks that the walk is in, from the outermost to the innermost.
    frames: Vec<Frame<S>>,
}

impl<'a, S: Step> Walk<'a, S> {
    /// A walk through all of `scope`.
    pub(super) fn new(store: &'a dyn Threads, scope: &'a Scope) -> Self {
        match scope {
            Scope::Below(top) => Self::behind(store, scope, top),
            Scope::Task(task) => Self::from(store, scope, (*task).into(), Key::start()),
        }
    }

    /// A walk through `scope` that starts after a comment, with its replies.
    pub(super) fn behind(store: &'a dyn Threads, scope: &'a Scope, comment: &impl Step) -> Self {
        let Position { block, key } = comment.position();
        let mut walk = Self::from(store, scope, *block, key.clone());
        walk.descend(comment);
        walk
    }

    /// A walk through `scope` that starts after a comment and all its replies.
    pub(super) fn behind_replies(
        store: &'a dyn Threads,
        scope: &'a Scope,
        comment: &impl Step,
    ) -> Self {
        let Position { block, key } = comment.position();
        Self::from(store, scope, *block, key.behind_replies())
    }

    fn from(store: &'a dyn Threads, scope: &'a Scope, block: Block, after: Key) -> Self {
        let mut walk = Self {
            store,
            scope,
            frames: Vec::new(),
        };
        walk.enter(block, after);
        walk
    }

    fn enter(&mut self, block: Block, after: Key) {
        self.frames.push(Frame {
            left: self.scope.stretch(block, after),
            ahead: VecDeque::new(),
            ended: false,
        });
    }

    /// Descends into the block of the replies to a comment, if they have one. A parent counts a
    /// reply before the reply is stored, so a count of 0 means that there is none.
    fn descend(&mut self, comment: &impl Step) {
        if comment.has_replies() && comment.position().key.ends_block() {
            self.enter(comment.id().into(), Key::start());
        }
    }

    /// The next comment. Comments are fetched `ahead` at a time.
    pub(super) async fn next(&mut self, ahead: u32) -> Result<Option<S>, StoreError> {
        loop {
            let Some(frame) = self.frames.last_mut() else {
                return Ok(None);
            };
            if let Some(step) = frame.ahead.pop_front() {
                self.descend(&step);
                return Ok(Some(step));
            }
            if frame.ended {
                self.climb().await?;
                continue;
            }
            let found = S::fetch(self.store, &frame.left, ahead).await?;
            frame.ended = found.len() < ahead as usize;
            if let Some(last) = found.last() {
                frame.left.after = last.position().key.clone();
            }
            frame.ahead = found.into();
        }
    }

    /// Leaves a block that has ended for the one above. If the walk began in this block, the block
    /// above has no frame yet and gets one.
    async fn climb(&mut self) -> Result<(), StoreError> {
        let Some(Frame { left, .. }) = self.frames.pop() else {
            return Ok(());
        };
        if !self.frames.is_empty() || left.block == self.scope.block() {
            return Ok(());
        }
        let above = self.store.comment(CommentId(left.block.0)).await?;
        let Some(above) = above else {
            return Err(StoreError::Detached(left.block));
        };
        let Position { block, key } = above.position;
        self.enter(block, key);
        Ok(())
    }

    /// The place of the comment that was just returned.
    pub(super) fn mark(&self, met: &S) -> Mark {
        let key = &met.position().key;
        let descended = met.has_replies() && key.ends_block();
        Mark {
            frames: self.frames.len() - usize::from(descended),
            key: key.clone(),
        }
    }

    /// Skips the remaining replies to a comment. The walk must not be past them yet.
    pub(super) fn skip_replies(&mut self, to: &Mark) {
        self.frames.truncate(to.frames);
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let behind = to.key.behind_replies();
        while frame
            .ahead
            .front()
            .is_some_and(|step| step.position().key < behind)
        {
            frame.ahead.pop_front();
        }
        if frame.left.after < behind {
            frame.left.after = behind;
            // The fetched comments ended within the replies; there may be more after them.
        }
    }
}
