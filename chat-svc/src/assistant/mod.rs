//! The port to the assistant that answers questions, and its adapters.
//!
//! | adapter | what it is |
//! | --- | --- |
//! | [`Ollama`] | a language model behind Ollama's API |
//! | [`Builtin`] | rules over the caller's work, for use without a model |

mod builtin;
mod ollama;

pub use builtin::{Builtin, MODEL as BUILTIN};
pub use ollama::{InvalidUrl, Ollama, OllamaConfig};

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use slipway_runtime::life::Check;

use crate::{
    chat::{Reason, Tokens},
    prompt::Prompt,
};

/// Answers prompts. Its health check says whether it can answer now.
#[async_trait]
pub trait Assistant: Check {
    /// The model's name, as answers and metrics carry it.
    fn model(&self) -> &str;

    /// The model's context window, in tokens.
    fn window(&self) -> u32;

    /// Maximum number of releases that an answer may be about: no others are read for it.
    fn releases(&self) -> usize;

    /// Starts an answer. Dropping the stream stops it.
    ///
    /// # Errors
    /// [`Failure`], here or in the stream. A failure ends the stream.
    async fn answer(&self, prompt: &Prompt) -> Result<Answering, Failure>;
}

/// A shared assistant.
pub type SharedAssistant = Arc<dyn Assistant>;

/// An answer as it is written. A complete answer ends with [`Piece::Done`].
pub type Answering = BoxStream<'static, Result<Piece, Failure>>;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The next part of the text.
    Text(String),
    /// The answer is complete.
    Done(Tokens),
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The answer was finished.
    Finished,
    /// The token limit was reached.
    Length,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "by itself",
            Self::Length => "at the token limit",
        })
    }
}

/// Why there is no answer. The texts are for logs, not for clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The model's server is unreachable or refuses more work.
    #[error("it cannot be reached: {0}")]
    Unavailable(String),
    /// The server does not have the model.
    #[error("it does not have the model: {0}")]
    ModelMissing(String),
    /// The model was silent for too long, or the answer took too long.
    #[error("{0}")]
    Timeout(&'static str),
    /// The answer ended early.
    #[error("the answer broke off: {0}")]
    Truncated(String),
    /// The answer could not be parsed.
    #[error("the answer makes no sense: {0}")]
    Malformed(String),
    /// The answer has only thinking.
    #[error("the answer has only thinking, which ended {0}")]
    OnlyThinking(End),
    /// The answer has no text.
    #[error("the answer is empty; it ended {0}")]
    Empty(End),
    /// The server reported an error.
    #[error("it reports an error: {0}")]
    ServerError(String),
}

impl Failure {
    /// The reason that is stored with the unanswered question.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unavailable(_) => Reason::Unavailable,
            Self::ModelMissing(_) => Reason::ModelMissing,
            Self::Timeout(_) => Reason::Timeout,
            Self::Truncated(_) => Reason::Truncated,
            Self::Malformed(_) => Reason::Malformed,
            Self::OnlyThinking(_) => Reason::OnlyThinking,
            Self::Empty(_) => Reason::Empty,
            Self::ServerError(_) => Reason::ServerError,
        }
    }
}
