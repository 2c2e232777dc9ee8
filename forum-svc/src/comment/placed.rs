//! A comment with its position, and the steps of posting a reply to it.
//!
//! A reply writes two documents: the reply itself, and its parent, which counts it. The writes are
//! not atomic, so a reply is posted in steps that can be settled after a crash:
//!
//! 1. The parent, unless it is deleted, counts the reply, gives it its number and records it
//!    as begun (a note).
//! 2. The reply is stored with its event: it is posted.
//! 3. The parent removes the note.
//!
//! A note that remains for a while is [settled](PlacedComment::settled): if the reply is stored,
//! only the note is removed; if not, the reply is also subtracted from the count.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Comment, CommentId, Position, position::Ordinal};

/// A comment with its position in the reading order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedComment {
    /// The comment.
    pub comment: Comment,
    /// Its position.
    pub position: Position,
    /// Its number among the replies to its parent; 0 if it begins a thread.
    pub number: Ordinal,
    /// The last number given to a reply. Unlike the reply count it never decreases.
    pub(crate) last_number: Ordinal,
    /// Notes on replies that were begun and may not be posted.
    pub(crate) begun: Vec<Begun>,
    /// Increases with every change, including changes of the reply count.
    pub(crate) version: u64,
}

/// A note on a reply that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) reply: CommentId,
    pub(crate) at: Timestamp,
}

/// The documents that posting a reply writes, in order.
#[derive(Debug)]
pub(crate) struct Posting {
    /// The parent with the note on the reply.
    pub(crate) noted: PlacedComment,
    /// The reply.
    pub(crate) reply: PlacedComment,
    /// The parent without the note.
    pub(crate) done: PlacedComment,
}

impl PlacedComment {
    /// A comment that begins a thread.
    #[must_use]
    pub fn root(comment: Comment) -> Self {
        let position = Position::of_root(comment.task, comment.id);
        Self::new(comment, position, Ordinal(0))
    }

    fn new(comment: Comment, position: Position, number: Ordinal) -> Self {
        Self {
            comment,
            position,
            number,
            last_number: Ordinal(0),
            begun: Vec::new(),
            version: 1,
        }
    }

    /// The documents that posting this reply writes; `None` if this comment is deleted.
    pub(crate) fn post(&self, reply: Comment) -> Option<Posting> {
        if self.comment.is_deleted() {
            return None;
        }
        let mut noted = self.next();
        noted.comment.reply_count += 1;
        noted.last_number.0 += 1;
        noted.begun.push(Begun {
            reply: reply.id,
            at: reply.created_at,
        });
        let number = noted.last_number;
        let position = self.position.of_reply(self.comment.id, number);
        let mut done = noted.next();
        done.begun.pop();
        let reply = Self::new(reply, position, number);
        Some(Posting { noted, reply, done })
    }

    /// The comment without the note on `reply`. A reply that is not posted is subtracted from the
    /// count. `None` if there is no such note.
    pub(crate) fn settled(&self, reply: CommentId, is_posted: bool) -> Option<Self> {
        let noted = self.begun.iter().position(|begun| begun.reply == reply)?;
        let mut after = self.next();
        after.begun.remove(noted);
        if !is_posted {
            after.comment.reply_count -= 1;
        }
        Some(after)
    }

    /// The comment after an edit or a deletion, which made `after` of `before`; `None` if the
    /// comment is at another revision than `before`.
    pub(crate) fn changed(&self, before: &Comment, after: &Comment) -> Option<Self> {
        if self.comment.revision != before.revision {
            return None;
        }
        let mut changed = self.next();
        changed.comment = Comment {
            // Replies may have been posted since.
            reply_count: self.comment.reply_count,
            ..after.clone()
        };
        Some(changed)
    }

    /// Whether it is a later version of the same comment.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        self.comment.id == other.comment.id && self.version > other.version
    }

    fn next(&self) -> Self {
        Self {
            version: self.version + 1,
            ..self.clone()
        }
    }
}
