//! The built-in assistant: answers by rules, from the same work a model is told of. It
//! says what it is, and what it cannot do.

mod answers;
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

/// How it is called as a model.
pub const MODEL: &str = "builtin";

/// Rules need no window; this one bounds what is read for them.
const WINDOW: u32 = 65_536;

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

    async fn answer(&self, prompt: &Prompt) -> Result<Answering, Failure> {
        let text = answers::answer(&prompt.work, &prompt.question);
        // Word by word, as a model would: clients see the same kind of stream.
        let pieces: Vec<_> = text
            .split_inclusive(' ')
            .map(|word| Ok(Piece::Text(word.to_owned())))
            .chain([Ok(Piece::Done(Tokens::default()))])
            .collect();
        Ok(stream::iter(pieces).boxed())
    }
}
