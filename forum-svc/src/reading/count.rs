//! Counts the replies to a comment at any depth.
//!
//! The count is not stored: a new reply would have to change every comment above it. In reading
//! order the replies to a comment follow it directly, so those on a page are counted while the
//! page is read. Replies after the end of the page are read once for all open comments, up to
//! [`COUNTED`]. A comment with that many direct replies, whose number is stored, needs no
//! counting.

use super::{
    CommentSummary, Scope, Threads,
    walk::{Step as _, Walk},
};
use crate::store::StoreError;

/// Replies are counted up to this number: 1,000 means 1,000 or more.
pub const COUNTED: u32 = 1_000;

/// The number of replies to a comment at any depth, up to [`COUNTED`].
///
/// # Errors
/// If the store is unavailable.
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

/// Whether the direct replies alone reach [`COUNTED`].
fn has_enough(outline: &CommentSummary) -> bool {
    outline.reply_count >= u64::from(COUNTED)
}

/// A comment on the page with replies that may not have been read yet.
struct Open {
    /// Its index on the page.
    place: usize,
    outline: CommentSummary,
    /// Comments read up to and including this one.
    met: u32,
    /// Whether its count has reached [`COUNTED`] by the direct replies to it or to a comment
    /// below it.
    enough: bool,
}

/// Counts replies while a page is read.
#[derive(Default)]
pub(super) struct Counter {
    /// From the uppermost to the innermost.
    open: Vec<Open>,
    /// Comments read so far, including those left out of the page.
    met: u32,
    /// The count of each comment on the page.
    counts: Vec<u32>,
}

impl Counter {
    /// Counts the next comment, which has this depth. Open comments that are not above it are
    /// complete.
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

    /// Opens the comment that was just counted: it is on the page.
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

    /// Whether the innermost open comment has reached [`COUNTED`].
    pub(super) fn is_full(&self) -> bool {
        let innermost = self.open.last();
        innermost.is_none_or(|open| self.count(open) == COUNTED)
    }

    /// The number of known replies to an open comment.
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

    /// Closes all comments and returns the count of each comment on the page.
    pub(super) fn counts(mut self) -> Vec<u32> {
        while !self.open.is_empty() {
            self.close();
        }
        self.counts
    }

    /// Continues to count after the end of the page, for the comments above `next`, the first
    /// comment after the page.
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
        // `next` itself is counted already.
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
