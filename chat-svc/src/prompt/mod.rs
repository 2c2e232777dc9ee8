//! Composes prompts. Pure.
//!
//! A prompt has a system part with the caller's work, the last messages of the conversation, and
//! the question, all within the model's context window. The system part depends only on the caller,
//! never on the question: no question can reveal more than the caller's token can read.

mod budget;
mod compose;
mod system;
mod work;

pub use budget::estimate;
pub use compose::{Limits, Prompt, PromptMessage, QuestionTooLong, Speaker, compose};
pub(crate) use system::PROMPT_RELEASES;
pub use work::{Blocker, Caller, NextTask, ReleaseFacts, TaskFacts, TaskState, Work};

#[cfg(test)]
pub(crate) mod samples;
