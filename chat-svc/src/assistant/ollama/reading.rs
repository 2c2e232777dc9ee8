//! An answer as it comes: text without the model's thinking, and how it ended.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use reqwest_of_ollama_rs::{Error, Response};
use slipway_runtime::text;

use super::{
    OllamaConfig, SILENT, chain,
    lines::Lines,
    wire::{Line, Said},
};
use crate::{
    assistant::{End, Failure, Piece},
    chat::{ThinkingFilter, Tokens},
};

/// Bytes of one answer at most, with what is dropped of it: the thinking, and what each line
/// says besides its text.
const MOST: usize = 32 * 1024 * 1024;

/// An answer that is being read.
pub(super) struct Reading {
    body: BoxStream<'static, Result<Bytes, Error>>,
    lines: Lines,
    /// Bytes that may still come.
    left: usize,
    idle: Duration,
    /// How long the next bytes may take.
    timeout: Duration,
    filter: ThinkingFilter,
    /// Whether the model thought, as the server tells it apart from the answer.
    thought: bool,
    /// Whether there was anything to see in the text.
    said: bool,
    /// What follows the text that was returned last.
    outcome: Option<Result<Piece, Failure>>,
    /// Whether the body has ended.
    ended: bool,
}

impl Reading {
    /// Reads the body of `answer`.
    pub(super) fn new(answer: Response, config: &OllamaConfig) -> Self {
        Self {
            body: answer.bytes_stream().boxed(),
            lines: Lines::default(),
            left: MOST,
            idle: config.idle_timeout,
            timeout: config.first_token_timeout,
            filter: ThinkingFilter::default(),
            thought: false,
            said: false,
            outcome: None,
            ended: false,
        }
    }

    /// What follows. What is no text is the last.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub(super) async fn next(&mut self) -> Result<Piece, Failure> {
        loop {
            if let Some(outcome) = self.outcome.take() {
                return outcome;
            }
            if let Some(line) = self.lines.next(self.ended) {
                let text = self.read(&line)?;
                if !text.is_empty() {
                    return Ok(Piece::Text(text));
                }
                continue;
            }
            if self.ended {
                let text = "the stream ended without saying that it is done";
                return Err(Failure::Truncated(text.to_owned()));
            }
            let bytes = tokio::time::timeout(self.timeout, self.body.next());
            match bytes.await.map_err(|_| SILENT)? {
                Some(Ok(bytes)) => {
                    self.timeout = self.idle;
                    self.left = self.left.checked_sub(bytes.len()).ok_or_else(too_long)?;
                    self.lines.push(&bytes).map_err(Failure::Malformed)?;
                }
                Some(Err(error)) => return Err(Failure::Truncated(chain(&error))),
                None => self.ended = true,
            }
        }
    }

    /// What a line adds to the answer. With the last one the outcome is known.
    fn read(&mut self, line: &[u8]) -> Result<String, Failure> {
        let line: Line =
            serde_json::from_slice(line).map_err(|error| Failure::Malformed(error.to_string()))?;
        if let Some(error) = line.error {
            return Err(Failure::ServerError(error));
        }
        let Said { content, thinking } = line.message.unwrap_or_default();
        self.thought |= thinking.is_some_and(|thinking| !thinking.is_empty());
        let mut text = self.filter.push(&content.unwrap_or_default());
        if line.done {
            text.push_str(&self.filter.finish());
        }
        let text = text::without_controls(text);
        self.said |= !text::is_blank(&text);
        if line.done {
            let tokens = Tokens {
                prompt: line.prompt_eval_count,
                answer: line.eval_count,
            };
            let end = match line.done_reason.as_deref() {
                Some("length") => End::Length,
                _ => End::Finished,
            };
            self.outcome = Some(
                match (self.said, self.thought || self.filter.has_thought()) {
                    (true, _) => Ok(Piece::Done(tokens)),
                    (false, true) => Err(Failure::OnlyThinking(end)),
                    (false, false) => Err(Failure::Empty(end)),
                },
            );
        }
        Ok(text)
    }
}

fn too_long() -> Failure {
    Failure::Malformed(format!("an answer of more than {MOST} bytes"))
}
