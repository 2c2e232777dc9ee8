//! A comment at its place, with the replies that are being posted to it.
//!
//! A reply changes two comments: it is one itself, and its parent counts it. Each is stored
//! by itself, so a reply is posted in steps that can be settled after a crash:
//!
//! 1. The parent, unless it is deleted, counts the reply, gives it its number and notes it
//!    as begun.
//! 2. The reply is stored with its event: it is posted.
//! 3. The parent forgets the note.
//!
//! A note that is still there after a while is [settled](PlacedComment::settled): if the reply is
//! there only the note goes; if not, it is counted no more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Comment, CommentId, Position, position::Ordinal};

/// A comment at its place in the reading order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedComment {
    /// The comment.
    pub comment: Comment,
    /// Where it stands.
    pub position: Position,
    /// Its number among the replies to its parent; 0 if it begins a thread.
    pub number: Ordinal,
    /// The number that was given last to a reply. Unlike their count it never goes back.
    pub(crate) last_number: Ordinal,
    /// Replies that were begun and are not known to be posted.
    pub(crate) begun: Vec<Begun>,
    /// Grows with every change, also that of a count.
    pub(crate) version: u64,
}

/// A note on a reply that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) reply: CommentId,
    pub(crate) at: Timestamp,
}

/// What posting a reply stores, one after the other.
#[derive(Debug)]
pub(crate) struct Posting {
    /// The parent with a note on the reply.
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

    /// What posting this reply to it stores; `None` if it is deleted.
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

    /// Without the note on a reply, which is counted no more unless it is posted; `None` if
    /// there is no note.
    pub(crate) fn settled(&self, reply: CommentId, is_posted: bool) -> Option<Self> {
        let noted = self.begun.iter().position(|begun| begun.reply == reply)?;
        let mut after = self.next();
        after.begun.remove(noted);
        if !is_posted {
            after.comment.reply_count -= 1;
        }
        Some(after)
    }

    /// The same place with `after`, an edit or a deletion of what is there; `None` if it was
    /// made of another revision than that of `before`.
    pub(crate) fn changed(&self, before: &Comment, after: &Comment) -> Option<Self> {
        if self.comment.revision != before.revision {
            return None;
        }
        let mut changed = self.next();
        changed.comment = Comment {
            // There may be replies since.
            reply_count: self.comment.reply_count,
            ..after.clone()
        };
        Some(changed)
    }

    /// Whether it is the same comment after more changes.
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
