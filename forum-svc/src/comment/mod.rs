//! Comments: what they are, what may be done with them, and where they stand. Pure.
//!
//! | to find | look in |
//! | --- | --- |
//! | what a content may be, and how it begins | [`content`] |
//! | whom a content mentions | [`mentions`] |
//! | how a comment counts the replies to it | [`placed`] |
//! | the reading order, and how threads of any depth are kept in it | [`position`] |
//! | why something is refused | [`refusal`] |

pub mod content;
pub mod mentions;
pub mod placed;
pub mod position;
pub mod refusal;

pub use content::Content;
pub use placed::PlacedComment;
pub use position::{Block, Position};
pub use refusal::Refusal;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::events::UserRef;
use slipway_rpc::access::Role;
use slipway_runtime::typed_id;
use uuid::Uuid;

typed_id!(
    /// Identifies a comment.
    CommentId
);
typed_id!(
    /// Identifies a task: of release-svc, which knows what it is.
    TaskId
);

/// Counts the edits of a comment, from 1. Replies do not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Revision(pub u64);

/// A comment on a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// The task it is on.
    pub task: TaskId,
    /// What it replies to; nothing if it begins a thread.
    pub parent: Option<CommentId>,
    /// What began the thread: itself if it did.
    pub root: CommentId,
    /// How many comments it is below the root.
    pub depth: u32,
    /// Who wrote it: from the token.
    pub author: UserRef,
    /// What it says.
    pub body: Body,
    /// How many direct replies it has, deleted ones included.
    pub reply_count: u64,
    /// When it was posted.
    pub created_at: Timestamp,
    /// When it was last edited, if it was.
    pub edited_at: Option<Timestamp>,
    /// How often it was changed.
    pub revision: Revision,
}

/// What a comment says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// This.
    Content(Content),
    /// Nothing any more: its author or an admin deleted it. It stays in its place, because
    /// replies hang on it, and so that a reader of the thread sees that something was there.
    Deleted {
        /// When.
        at: Timestamp,
    },
}

impl Comment {
    /// A comment that begins a thread on `task`.
    #[must_use]
    pub fn begin(task: TaskId, author: UserRef, content: Content, now: Timestamp) -> Self {
        let id = CommentId::generate();
        Self {
            id,
            task,
            parent: None,
            root: id,
            depth: 0,
            author,
            body: Body::Content(content),
            reply_count: 0,
            created_at: now,
            edited_at: None,
            revision: Revision(1),
        }
    }

    /// A reply to this comment.
    ///
    /// # Errors
    /// [`Refusal::Deleted`].
    pub fn reply(
        &self,
        author: UserRef,
        content: Content,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        if self.is_deleted() {
            return Err(Refusal::Deleted(self.id));
        }
        Ok(Self {
            parent: Some(self.id),
            root: self.root,
            depth: self.depth + 1,
            ..Self::begin(self.task, author, content, now)
        })
    }

    /// This comment with another content, by `editor`. `on` is the revision the editor has
    /// seen, if they say so.
    ///
    /// # Errors
    /// [`Refusal::NotAuthor`], [`Refusal::Deleted`], [`Refusal::Changed`].
    pub fn edit(
        &self,
        editor: Uuid,
        on: Option<Revision>,
        content: Content,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        if self.author.id != editor {
            return Err(Refusal::NotAuthor);
        }
        if self.is_deleted() {
            return Err(Refusal::Deleted(self.id));
        }
        self.is_at(on)?;
        Ok(Self {
            body: Body::Content(content),
            edited_at: Some(now),
            revision: self.revision.next(),
            ..self.clone()
        })
    }

    /// This comment without its content, deleted by a user with this role; `None` if it
    /// is deleted already. `on` is the revision the user has seen, if they say so.
    ///
    /// # Errors
    /// [`Refusal::NotAuthor`], [`Refusal::Changed`].
    pub fn delete(
        &self,
        by: Uuid,
        role: Role,
        on: Option<Revision>,
        now: Timestamp,
    ) -> Result<Option<Self>, Refusal> {
        if self.author.id != by && role != Role::Admin {
            return Err(Refusal::NotAuthor);
        }
        if self.is_deleted() {
            return Ok(None);
        }
        self.is_at(on)?;
        Ok(Some(Self {
            body: Body::Deleted { at: now },
            revision: self.revision.next(),
            ..self.clone()
        }))
    }

    fn is_at(&self, on: Option<Revision>) -> Result<(), Refusal> {
        match on {
            Some(on) if on != self.revision => Err(Refusal::Changed {
                revision: self.revision,
            }),
            _ => Ok(()),
        }
    }

    /// Whether it is deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        matches!(self.body, Body::Deleted { .. })
    }
}

impl Revision {
    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests;
