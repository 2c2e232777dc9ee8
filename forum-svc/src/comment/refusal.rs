//! Why something is refused: each rule with its code and its sentence.

use slipway_rpc::error::{Fault, Kind};

use super::{CommentId, Revision};

/// A rule said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such comment.
    #[error("There is no comment {0}.")]
    NotFound(CommentId),
    /// Nobody puts words into another's mouth; an admin may only take them away.
    #[error("Only its author may do this.")]
    NotAuthor,
    /// A comment that is deleted is not edited, and not replied to.
    #[error("Comment {0} is deleted.")]
    Deleted(CommentId),
    /// The comment is not at the revision the editor has seen.
    #[error("The comment was edited meanwhile: it is at revision {}.", .revision.0)]
    Changed {
        /// Where it is.
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
