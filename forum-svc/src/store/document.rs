//! The stored document of a comment, and its indexes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{Collection, Document, Entries, Index, by_time};

use crate::{
    comment::{CommentId, PlacedComment},
    reading::CommentSummary,
};

/// The comments of each block, in reading order.
pub(super) const IN_ORDER: Index = Index::list("in_order").with_summaries();
/// The direct replies to each comment, in the order of their numbers.
pub(super) const BY_PARENT: Index = Index::list("by_parent");
/// Comments with notes on replies that were begun, by the time of the oldest note.
pub(super) const BEGUN: Index = Index::list("begun");
/// Fences, by the time when their replies were begun.
pub(super) const FENCES: Index = Index::list("fences");

/// A document of the collection.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Stored {
    /// A comment.
    Comment(Box<PlacedComment>),
    /// Takes the id of a reply that was given up, so that it cannot be stored later.
    Fence {
        reply: CommentId,
        /// When the reply was begun: it decides how long the fence stays.
        begun_at: Timestamp,
    },
}

impl From<PlacedComment> for Stored {
    fn from(placed: PlacedComment) -> Self {
        Self::Comment(Box::new(placed))
    }
}

impl Stored {
    /// The comment; `None` for a fence.
    pub(super) fn comment(&self) -> Option<&PlacedComment> {
        match self {
            Self::Comment(placed) => Some(placed),
            Self::Fence { .. } => None,
        }
    }

    /// The same, by value.
    pub(super) fn into_comment(self) -> Option<PlacedComment> {
        match self {
            Self::Comment(placed) => Some(*placed),
            Self::Fence { .. } => None,
        }
    }
}

impl Document for Stored {
    const COLLECTION: Collection =
        Collection::new("comments", 1, &[IN_ORDER, BY_PARENT, BEGUN, FENCES])
            .with_events()
            .with_receipts();

    /// `None` for a fence.
    type Summary = Option<CommentSummary>;

    fn id(&self) -> String {
        match self {
            Self::Comment(placed) => placed.comment.id.to_string(),
            Self::Fence { reply, .. } => reply.to_string(),
        }
    }

    fn revision(&self) -> u64 {
        self.comment().map_or(1, |placed| placed.version)
    }

    fn entries(&self, entries: &mut Entries) {
        match self {
            Self::Comment(placed) => {
                let position = &placed.position;
                entries.list(&IN_ORDER, position.block.0, position.key.as_str());
                if let Some(parent) = placed.comment.parent {
                    entries.list(&BY_PARENT, parent, placed.number);
                }
                if let Some(oldest) = placed.begun.iter().map(|begun| begun.at).min() {
                    entries.list(&BEGUN, "", by_time(oldest, placed.comment.id));
                }
            }
            Self::Fence { reply, begun_at } => {
                entries.list(&FENCES, "", by_time(*begun_at, reply));
            }
        }
    }

    fn summary(&self) -> Option<CommentSummary> {
        Some(self.comment()?.into())
    }
}
