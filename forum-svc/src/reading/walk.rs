//! Reading threads in order: a walk through the blocks of a discussion.
//!
//! A block is read by ranges. Behind a comment whose replies have a block of their own the
//! walk descends into it, and at the end of a block it climbs to the comment above. What
//! it remembers is the path of blocks it is in. Nothing here calls itself: a chain of any
//! length is read in the same stack.

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

/// What a walk meets.
#[async_trait]
pub(super) trait Step: Sized + Send {
    /// Fetches the first of a stretch.
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
    /// What was neither fetched nor passed over.
    left: KeyRange,
    /// Fetched and not yet met.
    ahead: VecDeque<S>,
    /// Whether nothing is left.
    ended: bool,
}

/// Where a walk met a comment, so that it can pass over the replies to it later.
pub(super) struct Mark {
    /// How many blocks it was in.
    frames: usize,
    key: Key,
}

/// A walk in reading order.
pub(super) struct Walk<'a, S> {
    store: &'a dyn Threads,
    scope: &'a Scope,
    /// From the outermost to the innermost block the walk has come through.
    frames: Vec<Frame<S>>,
}

impl<'a, S: Step> Walk<'a, S> {
    /// Through all of `scope`.
    pub(super) fn new(store: &'a dyn Threads, scope: &'a Scope) -> Self {
        match scope {
            Scope::Below(top) => Self::behind(store, scope, top),
            Scope::Task(task) => Self::from(store, scope, (*task).into(), Key::start()),
        }
    }

    /// Through what is behind a comment of `scope`, its replies included.
    pub(super) fn behind(store: &'a dyn Threads, scope: &'a Scope, comment: &impl Step) -> Self {
        let Position { block, key } = comment.position();
        let mut walk = Self::from(store, scope, *block, key.clone());
        walk.descend(comment);
        walk
    }

    /// Through what is behind a comment of `scope` and the replies to it.
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

    /// Descends into the block of the replies to a comment, if they have one. A reply is
    /// there only after its parent says that it has replies.
    fn descend(&mut self, comment: &impl Step) {
        if comment.has_replies() && comment.position().key.ends_block() {
            self.enter(comment.id().into(), Key::start());
        }
    }

    /// The next comment. What has to be fetched for it is fetched in ranges of `ahead`.
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

    /// Leaves a block that has ended for the one above. If the walk began in this block,
    /// it has not been there yet.
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

    /// Where the comment is that was met just now.
    pub(super) fn mark(&self, met: &S) -> Mark {
        let key = &met.position().key;
        let descended = met.has_replies() && key.ends_block();
        Mark {
            frames: self.frames.len() - usize::from(descended),
            key: key.clone(),
        }
    }

    /// Passes over the replies to a comment, or the rest of them: nothing behind them was
    /// met.
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
            // What was read ended among the replies; behind them there may be more.
        }
    }
}
