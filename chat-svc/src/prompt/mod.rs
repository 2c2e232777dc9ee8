//! What a model is asked: pure.
//!
//! A prompt is a system part with the caller's work, the last messages of the
//! conversation, and the question; all of it within the model's context window. What the
//! system part tells depends on the caller and never on the question: there is no
//! question by which anybody could get at more than their own token can read.

mod budget;
mod compose;
mod system;
mod work;

pub use budget::estimate;
pub use compose::{Limits, Prompt, PromptMessage, QuestionTooLong, Speaker, compose};
pub use work::{Blocker, Caller, NextTask, ReleaseFacts, TaskFacts, TaskState, Work};

#[cfg(test)]
pub(crate) mod samples;
