//! The built-in assistant: it answers by rules, from the caller's work. What it cannot answer, and
//! what it did not read, it says.

mod answers;
mod named;
mod phrase;
mod question;
mod span;
mod topic;
mod vocabulary;
mod words;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use slipway_runtime::life::{Check, Problem};

use super::{Answering, Assistant, Failure, Piece};
use crate::{chat::Tokens, prompt::Prompt};

/// Its name as a model.
pub const MODEL: &str = "builtin";

/// Rules have no context window; this one limits the length of a question.
const WINDOW: u32 = 65_536;

/// Enough for nearly everybody; each is read for every question.
const RELEASES: usize = 100;

/// The built-in assistant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Builtin;

#[async_trait]
impl Check for Builtin {
    async fn check(&self) -> Result<(), Problem> {
        Ok(())
    }
}

#[async_trait]
impl Assistant for Builtin {
    fn model(&self) -> &str {
        MODEL
    }

    fn window(&self) -> u32 {
        WINDOW
    }

    fn releases(&self) -> usize {
        RELEASES
    }

    async fn answer(&self, prompt: &Prompt) -> Result<Answering, Failure> {
        let text = answers::answer(&prompt.work, &prompt.question);
        // Word by word, so that clients see the same kind of stream as from a model.
        let pieces: Vec<_> = text
            .split_inclusive(' ')
            .map(|word| Ok(Piece::Text(word.to_owned())))
            .chain([Ok(Piece::Done(Tokens::default()))])
            .collect();
        Ok(stream::iter(pieces).boxed())
    }
}
