//! Reading discussions: pages in reading order, and how many replies a comment has.
//!
//! | to find | look in |
//! | --- | --- |
//! | how the next comment is found | `walk` |
//! | how replies at any depth are counted | `count` |

mod count;
mod walk;

pub use count::{COUNTED, descendants};
pub use walk::Scope;

use self::{count::Counter, walk::Walk};
use crate::{
    comment::{Comment, Placed},
    store::{CommentStore, StoreError},
};

/// Which page of a discussion is read.
#[derive(Debug, Clone)]
pub struct PageOf {
    /// Of what.
    pub scope: Scope,
    /// Behind which comment; from the beginning without it.
    pub after: Option<Placed>,
    /// How many comments at most.
    pub limit: u32,
    /// How many levels are shown; what is further down is left out. All without it.
    pub levels: Option<u32>,
}

/// A comment on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The comment.
    pub comment: Comment,
    /// How many replies it has at any depth, if they were counted; [`COUNTED`] means that
    /// many or more.
    pub descendants: Option<u32>,
    /// Whether its replies are left out because of the levels.
    pub cut: bool,
}

/// A page in reading order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The comments, in order.
    pub comments: Vec<Listed>,
    /// Whether there is more behind the last one.
    pub more: bool,
}

impl PageOf {
    /// Reads the page.
    ///
    /// # Errors
    /// If the store is away.
    pub async fn read(&self, store: &dyn CommentStore) -> Result<Listing, StoreError> {
        let mut walk = Walk::<Placed>::new(store, &self.scope, self.after.as_ref());
        let mut counter = Counter::new(store);
        let mut comments: Vec<Listed> = Vec::new();
        loop {
            // One more than there is room for, to know whether there is more.
            let wanted = self.limit.saturating_sub(length(&comments)) + 1;
            let Some(placed) = walk.next(wanted).await? else {
                counter.close_all(&mut comments);
                return Ok(Listing {
                    comments,
                    more: false,
                });
            };
            counter.meet(placed.comment.depth, &mut comments);
            if length(&comments) == self.limit {
                counter.count_on(&placed, &mut comments).await?;
                return Ok(Listing {
                    comments,
                    more: true,
                });
            }
            let cut = self.cuts(&placed);
            if cut {
                walk.skip_replies(&placed);
            }
            comments.push(Listed {
                comment: placed.comment.clone(),
                descendants: None,
                cut,
            });
            counter.open(&comments, placed.position.clone());
            if cut {
                counter.count_left_out(&placed).await?;
            }
        }
    }

    /// Whether the replies to this comment are left out.
    fn cuts(&self, placed: &Placed) -> bool {
        let level = placed.comment.depth - self.scope.top() + 1;
        placed.comment.reply_count > 0 && self.levels.is_some_and(|levels| level >= levels)
    }
}

fn length(comments: &[Listed]) -> u32 {
    u32::try_from(comments.len()).unwrap_or(u32::MAX)
}
