//! Reading threads in order: a walk through the blocks of a discussion.
//!
//! A block is read by ranges. Behind a comment whose replies have a block of their own the
//! walk descends into it, and at the end of a block it climbs to the comment above. What
//! it remembers is the path of blocks it is in. Nothing here calls itself: a chain of any
//! length is read in the same stack.

use std::collections::VecDeque;

use async_trait::async_trait;

use crate::{
    comment::{
        Block, CommentId, Placed, TaskId,
        position::{Key, Position, Stretch},
    },
    store::{CommentStore, Outline, StoreError},
};

/// How much of a discussion is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All threads of a task.
    Task(TaskId),
    /// The replies to a comment, at any depth.
    Below(Box<Placed>),
}

impl Scope {
    /// The task it is about.
    #[must_use]
    pub fn task(&self) -> TaskId {
        match self {
            Self::Task(task) => *task,
            Self::Below(comment) => comment.comment.task,
        }
    }

    /// The block that all of it is in or below.
    fn block(&self) -> Block {
        match self {
            Self::Task(task) => (*task).into(),
            Self::Below(comment) => comment.position.block,
        }
    }

    /// What of a block belongs to it, behind `after`.
    fn stretch(&self, block: Block, after: Key) -> Stretch {
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

    /// The depth of its uppermost comments.
    #[must_use]
    pub fn top(&self) -> u32 {
        match self {
            Self::Task(_) => 0,
            Self::Below(comment) => comment.comment.depth + 1,
        }
    }
}

/// What a walk meets.
#[async_trait]
pub(crate) trait Step: Sized + Send {
    /// Fetches some of them.
    async fn fetch(
        store: &dyn CommentStore,
        stretch: Stretch,
        limit: u32,
    ) -> Result<Vec<Self>, StoreError>;

    fn id(&self) -> CommentId;
    fn depth(&self) -> u32;
    fn key(&self) -> &Key;
}

#[async_trait]
impl Step for Placed {
    async fn fetch(
        store: &dyn CommentStore,
        stretch: Stretch,
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

    fn key(&self) -> &Key {
        &self.position.key
    }
}

#[async_trait]
impl Step for Outline {
    async fn fetch(
        store: &dyn CommentStore,
        stretch: Stretch,
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

    fn key(&self) -> &Key {
        &self.key
    }
}

/// A block that is being read.
struct Frame<S> {
    /// What was neither fetched nor passed over.
    left: Stretch,
    /// Fetched and not yet met.
    ahead: VecDeque<S>,
    /// Whether nothing is left.
    ended: bool,
}

/// A walk in reading order.
pub(crate) struct Walk<'a, S> {
    store: &'a dyn CommentStore,
    scope: &'a Scope,
    /// From the outermost to the innermost block the walk has come through.
    frames: Vec<Frame<S>>,
}

impl<'a, S: Step> Walk<'a, S> {
    /// Through all of `scope`, behind `after` if that is said.
    pub(crate) fn new(
        store: &'a dyn CommentStore,
        scope: &'a Scope,
        after: Option<&Placed>,
    ) -> Self {
        let mut walk = Self {
            store,
            scope,
            frames: Vec::new(),
        };
        match (after, scope) {
            (Some(placed), _) => walk.enter_behind(placed),
            (None, Scope::Below(placed)) => walk.enter_behind(placed),
            (None, Scope::Task(task)) => walk.enter((*task).into(), Key::start()),
        }
        walk
    }

    fn enter(&mut self, block: Block, after: Key) {
        self.frames.push(Frame {
            left: self.scope.stretch(block, after),
            ahead: VecDeque::new(),
            ended: false,
        });
    }

    fn enter_behind(&mut self, placed: &Placed) {
        let Position { block, key } = &placed.position;
        self.enter(*block, key.clone());
        self.descend(placed.comment.id, key.ends_block());
    }

    /// Descends into the block of the replies to a comment, if they have one.
    fn descend(&mut self, id: CommentId, have_block: bool) {
        if have_block {
            self.enter(id.into(), Key::start());
        }
    }

    /// The next comment. What has to be fetched for it is fetched in ranges of `ahead`.
    pub(crate) async fn next(&mut self, ahead: u32) -> Result<Option<S>, StoreError> {
        loop {
            let Some(frame) = self.frames.last_mut() else {
                return Ok(None);
            };
            if let Some(step) = frame.ahead.pop_front() {
                self.descend(step.id(), step.key().ends_block());
                return Ok(Some(step));
            }
            if frame.ended {
                self.climb().await?;
                continue;
            }
            let found = S::fetch(self.store, frame.left.clone(), ahead).await?;
            frame.ended = found.len() < ahead as usize;
            if let Some(last) = found.last() {
                frame.left.after = last.key().clone();
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
        let block = left.block;
        if !self.frames.is_empty() || block == self.scope.block() {
            return Ok(());
        }
        let above = self.store.comment(CommentId(block.0)).await?;
        let Some(above) = above else {
            return Err(StoreError(format!("block {} is below no comment", block.0)));
        };
        let Position { block, key } = above.position;
        self.enter(block, key);
        Ok(())
    }

    /// Passes over the replies to a comment that was met just now.
    pub(crate) fn skip_replies(&mut self, met: &S) {
        if met.key().ends_block() {
            // It was descended into, and nothing has been read there.
            self.frames.pop();
            return;
        }
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let behind = met.key().behind_replies();
        while frame.ahead.front().is_some_and(|step| *step.key() < behind) {
            frame.ahead.pop_front();
        }
        if frame.left.after < behind {
            frame.left.after = behind;
            // What was read ended among the replies; behind them there may be more.
        }
    }
}
