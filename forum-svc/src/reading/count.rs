//! How many replies a comment has at any depth.
//!
//! Nothing is stored for it: a new reply would have to change every comment above it. In
//! reading order the replies to a comment follow it at once, so on a page they are counted
//! by the way. Only what goes on behind the page's end is looked at separately, once for
//! all comments it is below, up to [`COUNTED`].

use super::{
    Listed, Scope,
    walk::{Step as _, Walk},
};
use crate::{
    comment::{Placed, Position},
    store::{CommentStore, Outline, StoreError},
};

/// Replies are counted up to this: 1,000 means 1,000 or more.
pub const COUNTED: u32 = 1_000;

/// Outlines read for one page at most. When they are used up, the comments they would
/// have been for have no count.
const BUDGET: u32 = 4 * COUNTED;

/// How many replies a comment has at any depth, up to [`COUNTED`].
///
/// # Errors
/// If the store is away.
pub async fn descendants(store: &dyn CommentStore, of: &Placed) -> Result<u32, StoreError> {
    if of.comment.reply_count == 0 {
        return Ok(0);
    }
    let scope = Scope::Below(Box::new(of.clone()));
    let mut walk = Walk::<Outline>::new(store, &scope, None);
    let mut count = 0;
    while count < COUNTED && walk.next(COUNTED).await?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// A comment on the page whose replies may not all have been met.
struct Open {
    /// Its place on the page.
    place: usize,
    /// Its place in the reading order.
    position: Position,
    depth: u32,
    /// How many comments had been met when it was.
    met: u32,
    /// Whether all of its replies are known.
    exact: bool,
}

/// Counts while a page is read.
pub(super) struct Counter<'a> {
    store: &'a dyn CommentStore,
    /// From the uppermost to the innermost.
    open: Vec<Open>,
    /// Comments met so far, those left out included.
    met: u32,
    budget: u32,
}

impl<'a> Counter<'a> {
    pub(super) fn new(store: &'a dyn CommentStore) -> Self {
        Self {
            store,
            open: Vec::new(),
            met: 0,
            budget: BUDGET,
        }
    }

    /// A comment of this depth comes next: what is not above it has no more replies.
    pub(super) fn meet(&mut self, depth: u32, comments: &mut [Listed]) {
        while self.open.last().is_some_and(|open| open.depth >= depth) {
            self.close(comments);
        }
        self.met += 1;
    }

    /// The last comment of the page, which stands at `position`, was met just now.
    pub(super) fn open(&mut self, comments: &[Listed], position: Position) {
        if let Some(last) = comments.last() {
            self.open.push(Open {
                place: comments.len() - 1,
                position,
                depth: last.comment.depth,
                met: self.met,
                exact: true,
            });
        }
    }

    /// Whether there are comments above the one that was met last.
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    fn close(&mut self, comments: &mut [Listed]) {
        if let Some(open) = self.open.pop() {
            let count = (self.met - open.met).min(COUNTED);
            // What is at the bound need not be known exactly.
            let known = open.exact || count == COUNTED;
            comments[open.place].descendants = known.then_some(count);
        }
    }

    /// The end: nobody has more replies.
    pub(super) fn close_all(&mut self, comments: &mut [Listed]) {
        while self.is_open() {
            self.close(comments);
        }
    }

    /// Counts the replies to `placed`, which the page leaves out.
    pub(super) async fn count_left_out(&mut self, placed: &Placed) -> Result<(), StoreError> {
        let count = if self.budget >= COUNTED {
            descendants(self.store, placed).await?
        } else {
            // There are at least the direct ones.
            for open in &mut self.open {
                open.exact = false;
            }
            0
        };
        self.budget = self.budget.saturating_sub(count);
        self.met += count;
        Ok(())
    }

    /// Counts on behind the page's end, which is in front of `next`, for the comments that
    /// `next` is below.
    pub(super) async fn count_on(
        &mut self,
        next: &Placed,
        comments: &mut [Listed],
    ) -> Result<(), StoreError> {
        let Some(uppermost) = self.open.first() else {
            return Ok(());
        };
        let scope = Scope::Below(Box::new(Placed {
            comment: comments[uppermost.place].comment.clone(),
            position: uppermost.position.clone(),
        }));
        let mut walk = Walk::<Outline>::new(self.store, &scope, Some(next));
        // `next` itself was met.
        for _ in 1..COUNTED {
            if !self.is_open() {
                return Ok(());
            }
            match walk.next(COUNTED).await? {
                Some(outline) => self.meet(outline.depth(), comments),
                None => break,
            }
        }
        self.close_all(comments);
        Ok(())
    }
}
