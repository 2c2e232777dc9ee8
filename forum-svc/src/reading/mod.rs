//! Reads discussions: pages in reading order, with the number of replies to each comment.
//!
//! | to find | look in |
//! | --- | --- |
//! | the part of a discussion that is read | `scope` |
//! | how the next comment is found | `walk` |
//! | how replies at any depth are counted | `count` |
//! | the interface to the store | `threads` |

mod count;
mod scope;
mod threads;
mod walk;

use std::collections::HashMap;

pub use count::{COUNTED, descendants};
pub use scope::Scope;
pub use threads::{CommentSummary, Threads};

use self::{
    count::Counter,
    walk::{Step, Walk},
};
use crate::{
    comment::{Comment, PlacedComment},
    store::StoreError,
};

/// A page ends after it has left out this many comments. Its last comment may still read another
/// [`COUNTED`] comments.
const LEFT_OUT: u32 = 3 * COUNTED;

/// A page of a discussion that is to be read.
#[derive(Debug, Clone)]
pub struct PageOf {
    /// The part of the discussion.
    pub scope: Scope,
    /// The comment after which the page starts; `None`: from the beginning.
    pub after: Option<PlacedComment>,
    /// Maximum number of comments.
    pub limit: u32,
    /// Number of levels shown; deeper comments are left out. `None`: all levels.
    pub levels: Option<u32>,
}

/// A comment on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The comment.
    pub comment: Comment,
    /// Number of replies at any depth; [`COUNTED`] means that many or more.
    pub descendants: u32,
    /// Whether its replies are left out because of the level limit.
    pub cut: bool,
}

/// A page in reading order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The comments, in order.
    pub comments: Vec<Listed>,
    /// Whether there are more comments after the last one.
    pub more: bool,
}

/// The selected comments of a page.
struct Selection<S> {
    /// The comments, and whether the replies to each are left out.
    shown: Vec<(S, bool)>,
    /// The number of replies to each at any depth.
    counts: Vec<u32>,
    more: bool,
}

impl PageOf {
    /// Reads the page.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub async fn read(&self, store: &dyn Threads) -> Result<Listing, StoreError> {
        if self.levels.is_none() {
            // Every comment that is read is shown, so read whole comments.
            let selection = self.select::<PlacedComment>(store).await?;
            return Ok(selection.listing(|placed| Some(placed.comment)));
        }
        let selection = self.select::<CommentSummary>(store).await?;
        let ids = selection.shown.iter().map(|(outline, _)| outline.id);
        let ids: Vec<_> = ids.collect();
        let comments = store.comments(&ids).await?;
        let mut comments: HashMap<_, _> = comments.into_iter().map(|c| (c.id, c)).collect();
        Ok(selection.listing(|outline| comments.remove(&outline.id)))
    }

    /// Whether such a page exists: `after` is shown in `scope`.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub async fn can_be(&self, store: &dyn Threads) -> Result<bool, StoreError> {
        let Some(after) = &self.after else {
            return Ok(true);
        };
        let shown = self.levels.is_none_or(|levels| self.level(after) <= levels);
        Ok(shown && self.scope.contains(store, after).await?)
    }

    async fn select<S: Step + Sync>(
        &self,
        store: &dyn Threads,
    ) -> Result<Selection<S>, StoreError> {
        let mut walk = self.walk::<S>(store);
        let (mut counter, mut shown) = (Counter::default(), Vec::new());
        let (mut left_out, mut last_cut) = (0, None);
        let more = loop {
            // Fetch one more than fits, to know whether there is more. Fetch more after many
            // comments were left out, because more of them are likely.
            let wanted = self.limit.saturating_sub(length(&shown)) + 1 + left_out;
            let Some(step) = walk.next(wanted.min(COUNTED)).await? else {
                break false;
            };
            counter.meet(step.depth());
            let level = self.level(&step);
            if self.levels.is_some_and(|levels| level > levels) {
                left_out += 1;
                match &last_cut {
                    Some(cut) if counter.is_full() => walk.skip_replies(cut),
                    _ => {}
                }
                continue;
            }
            if length(&shown) == self.limit || left_out >= LEFT_OUT {
                counter.count_on(store, &step.outline()).await?;
                break true;
            }
            let cut = step.has_replies() && self.levels.is_some_and(|levels| level == levels);
            if cut {
                last_cut = Some(walk.mark(&step));
            }
            counter.open(step.outline());
            shown.push((step, cut));
        };
        let counts = counter.counts();
        Ok(Selection {
            shown,
            counts,
            more,
        })
    }

    /// The walk from the start of the page.
    fn walk<'a, S: Step>(&'a self, store: &'a dyn Threads) -> Walk<'a, S> {
        match &self.after {
            None => Walk::new(store, &self.scope),
            // The page before has left out the replies to `after`.
            Some(after)
                if self
                    .levels
                    .is_some_and(|levels| self.level(after) >= levels) =>
            {
                Walk::behind_replies(store, &self.scope, after)
            }
            Some(after) => Walk::behind(store, &self.scope, after),
        }
    }

    /// The level of a comment in the scope, from 1.
    fn level(&self, step: &impl Step) -> u32 {
        step.depth().saturating_sub(self.scope.top()) + 1
    }
}

impl<S> Selection<S> {
    fn listing(self, mut comment: impl FnMut(S) -> Option<Comment>) -> Listing {
        let listed = self.shown.into_iter().zip(self.counts);
        Listing {
            comments: listed
                .filter_map(|((step, cut), descendants)| {
                    comment(step).map(|comment| Listed {
                        comment,
                        descendants,
                        cut,
                    })
                })
                .collect(),
            more: self.more,
        }
    }
}

fn length<T>(shown: &[T]) -> u32 {
    u32::try_from(shown.len()).unwrap_or(u32::MAX)
}
