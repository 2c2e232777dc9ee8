//! The reasons why a command is refused, each with its code and message.

use slipway_rpc::error::{Fault, Kind};

use super::{CommentId, Revision};

/// A command refused by a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such comment.
    #[error("There is no comment {0}.")]
    NotFound(CommentId),
    /// Only the author may edit a comment, and only the author or an admin may delete it.
    #[error("Only its author may do this.")]
    NotAuthor,
    /// A deleted comment cannot be edited or replied to.
    #[error("Comment {0} is deleted.")]
    Deleted(CommentId),
    /// The comment is not at the revision that the request is based on.
    #[error("The comment was edited meanwhile: it is at revision {}.", .revision.0)]
    Changed {
        /// Its current revision.
        revision: Revision,
    },
}

impl Refusal {
    fn kind_and_code(&self) -> (Kind, &'static str) {
        match self {
            Self::NotFound(_) => (Kind::NotFound, "COMMENT_NOT_FOUND"),
            Self::NotAuthor => (Kind::Forbidden, "NOT_AUTHOR"),
            Self::Deleted(_) => (Kind::Conflict, "COMMENT_DELETED"),
            Self::Changed { .. } => (Kind::Contended, "COMMENT_CHANGED"),
        }
    }

    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind_and_code().1
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let (kind, code) = refusal.kind_and_code();
        let fault = Fault::new(kind, code, refusal.to_string());
        match refusal {
            Refusal::Changed { revision } => fault.fact("revision", revision.0),
            _ => fault,
        }
    }
}
