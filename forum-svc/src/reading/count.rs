//! How many replies a comment has at any depth.
//!
//! Nothing is stored for it: a new reply would have to change every comment above it. In
//! reading order the replies to a comment follow it at once, so on a page they are counted
//! by the way. Only what goes on behind the page's end is looked at separately, once for
//! all comments it is below, up to [`COUNTED`]; and not for those that have as many direct
//! replies, which is known.

use super::{
    CommentSummary, Scope, Threads,
    walk::{Step as _, Walk},
};
use crate::store::StoreError;

/// Replies are counted up to this: 1,000 means 1,000 or more.
pub const COUNTED: u32 = 1_000;

/// How many replies a comment has at any depth, up to [`COUNTED`].
///
/// # Errors
/// If the store is away.
pub async fn descendants(store: &dyn Threads, of: CommentSummary) -> Result<u32, StoreError> {
    if !of.has_replies() {
        return Ok(0);
    }
    if has_enough(&of) {
        return Ok(COUNTED);
    }
    let scope = Scope::Below(of);
    let mut walk = Walk::<CommentSummary>::new(store, &scope);
    let mut count = 0;
    while count < COUNTED && walk.next(COUNTED).await?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Whether the direct replies are so many that no others need be counted.
fn has_enough(outline: &CommentSummary) -> bool {
    outline.reply_count >= u64::from(COUNTED)
}

/// A comment on the page whose replies may not all have been met.
struct Open {
    /// How many are on the page before it.
    place: usize,
    outline: CommentSummary,
    /// How many comments had been met when it was.
    met: u32,
    /// Whether it, or one below it, has enough direct replies.
    enough: bool,
}

/// Counts while a page is read.
#[derive(Default)]
pub(super) struct Counter {
    /// From the uppermost to the innermost.
    open: Vec<Open>,
    /// Comments met so far, those left out included.
    met: u32,
    /// What was counted, for each comment of the page.
    counts: Vec<u32>,
}

impl Counter {
    /// A comment of this depth comes next: what is not above it has no more replies.
    pub(super) fn meet(&mut self, depth: u32) {
        while self
            .open
            .last()
            .is_some_and(|open| open.outline.depth >= depth)
        {
            self.close();
        }
        self.met += 1;
    }

    /// The comment that was met just now is on the page.
    pub(super) fn open(&mut self, outline: CommentSummary) {
        let enough = has_enough(&outline);
        if enough {
            for above in &mut self.open {
                above.enough = true;
            }
        }
        self.open.push(Open {
            place: self.counts.len(),
            outline,
            met: self.met,
            enough,
        });
        self.counts.push(0);
    }

    /// Whether more replies to the innermost comment above the next one would make no
    /// difference.
    pub(super) fn is_full(&self) -> bool {
        let innermost = self.open.last();
        innermost.is_none_or(|open| self.count(open) == COUNTED)
    }

    /// How many replies to it are known.
    fn count(&self, open: &Open) -> u32 {
        if open.enough {
            COUNTED
        } else {
            (self.met - open.met).min(COUNTED)
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.counts[open.place] = self.count(&open);
        }
    }

    /// The end: nobody has more replies. How many each comment of the page has.
    pub(super) fn counts(mut self) -> Vec<u32> {
        while !self.open.is_empty() {
            self.close();
        }
        self.counts
    }

    /// Counts on behind the page's end, which is in front of `next`, for the comments that
    /// `next` is below.
    pub(super) async fn count_on(
        &mut self,
        store: &dyn Threads,
        next: &CommentSummary,
    ) -> Result<(), StoreError> {
        let mut open = self.open.iter();
        let Some(uppermost) = open.find(|open| self.count(open) < COUNTED) else {
            return Ok(());
        };
        let scope = Scope::Below(uppermost.outline.clone());
        let mut walk = Walk::<CommentSummary>::behind(store, &scope, next);
        // `next` itself was met.
        for _ in 1..COUNTED {
            if self.open.is_empty() {
                break;
            }
            match walk.next(COUNTED).await? {
                Some(outline) => self.meet(outline.depth()),
                None => break,
            }
        }
        Ok(())
    }
}
