//! The comment model: a comment, its commands, and its position in the reading order. Pure.
//!
//! | to find | look in |
//! | --- | --- |
//! | the limits of a text, and its excerpt | [`content`] |
//! | how a comment counts its replies | [`placed`] |
//! | the reading order of threads of any depth | [`position`] |
//! | why a command is refused | [`refusal`] |

pub mod content;
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
    /// Identifies a task of release-svc.
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
    /// The comment that it replies to; `None` if it begins a thread.
    pub parent: Option<CommentId>,
    /// The comment that began the thread, perhaps this one.
    pub root: CommentId,
    /// Levels below the root; 0 for the root.
    pub depth: u32,
    /// The user who wrote it, from the token.
    pub author: UserRef,
    /// Its content, or that it is deleted.
    pub body: Body,
    /// Number of direct replies, including deleted ones.
    pub reply_count: u64,
    /// When it was posted.
    pub created_at: Timestamp,
    /// When it was last edited, if ever.
    pub edited_at: Option<Timestamp>,
    /// Its revision.
    pub revision: Revision,
}

/// The body of a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// The text.
    Content(Content),
    /// A tombstone: its author or an admin deleted the comment. It stays in its place, because
    /// it may have replies, and so that readers see that a comment was there.
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

    /// This comment with another content, by `editor`; `None` if it has that content. `on` is the
    /// revision that the edit is based on, if the request has one.
    ///
    /// # Errors
    /// [`Refusal::NotAuthor`], [`Refusal::Deleted`], [`Refusal::Changed`].
    pub fn edit(
        &self,
        editor: Uuid,
        on: Option<Revision>,
        content: Content,
        now: Timestamp,
    ) -> Result<Option<Self>, Refusal> {
        if self.author.id != editor {
            return Err(Refusal::NotAuthor);
        }
        if self.is_deleted() {
            return Err(Refusal::Deleted(self.id));
        }
        self.is_at(on)?;
        let body = Body::Content(content);
        Ok((body != self.body).then(|| Self {
            body,
            edited_at: Some(now),
            revision: self.revision.next(),
            ..self.clone()
        }))
    }

    /// This comment without its content, deleted by a user with this role; `None` if it is
    /// deleted already. `on` is the revision that the deletion is based on, if the request has
    /// one.
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
