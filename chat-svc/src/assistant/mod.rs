//! The port to whatever writes answers, and its adapters.
//!
//! | adapter | what it is |
//! | --- | --- |
//! | [`Ollama`] | a language model behind Ollama's API |
//! | [`Builtin`] | rules over the caller's work: there is always an assistant |

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

/// Answers prompts. Checked, it says whether it could.
#[async_trait]
pub trait Assistant: Check {
    /// The model's name, as answers and metrics carry it.
    fn model(&self) -> &str;

    /// The model's context window, in tokens.
    fn window(&self) -> u32;

    /// Begins to answer. Dropping the stream stops the answer.
    ///
    /// # Errors
    /// [`Failure`], here or in the stream. After a failure the stream is over.
    async fn answer(&self, prompt: &Prompt) -> Result<Answering, Failure>;
}

/// An assistant that is shared.
pub type SharedAssistant = Arc<dyn Assistant>;

/// An answer as it is written. One that is complete ends with [`Piece::Done`].
pub type Answering = BoxStream<'static, Result<Piece, Failure>>;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The text that follows.
    Text(String),
    /// The answer is complete.
    Done(Tokens),
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The model had no more to say.
    Finished,
    /// It had no tokens left.
    Length,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "by itself",
            Self::Length => "at its limit of tokens",
        })
    }
}

/// Why there is no answer. The texts are for the log, not for clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The model's server cannot be reached, or takes no more work.
    #[error("it cannot be reached: {0}")]
    Unavailable(String),
    /// The server does not have the model.
    #[error("it does not have the model: {0}")]
    ModelMissing(String),
    /// It was silent for too long, or took too long.
    #[error("{0}")]
    Timeout(&'static str),
    /// The answer broke off.
    #[error("the answer broke off: {0}")]
    Truncated(String),
    /// The answer made no sense.
    #[error("the answer makes no sense: {0}")]
    Malformed(String),
    /// There was nothing in the answer but thinking.
    #[error("the answer is nothing but thinking, which ended {0}")]
    OnlyThinking(End),
    /// There was nothing in the answer.
    #[error("the answer is empty; it ended {0}")]
    Empty(End),
    /// The server reported an error.
    #[error("it reports an error: {0}")]
    ServerError(String),
}

impl Failure {
    /// Under which reason the question is kept as unanswered.
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
