//! What goes over the wire to Ollama and back, as far as it matters here.

use serde::{Deserialize, Serialize};

use super::OllamaConfig;
use crate::prompt::{Prompt, Speaker};

/// `POST /api/chat`.
#[derive(Debug, Serialize)]
pub(super) struct ChatRequest<'a> {
    model: &'a str,
    messages: Vec<ChatMessage<'a>>,
    stream: bool,
    /// As Go writes durations.
    keep_alive: String,
    options: Options,
}

#[derive(Debug, Serialize)]
struct ChatMessage<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Debug, Serialize)]
struct Options {
    /// The context window. What exceeds it is cut off in silence: see [`crate::prompt`].
    num_ctx: u32,
    /// Tokens of the answer at most.
    num_predict: u32,
    /// Low: facts are to be told, not stories.
    temperature: f32,
}

impl<'a> ChatRequest<'a> {
    pub(super) fn new(config: &'a OllamaConfig, prompt: &'a Prompt) -> Self {
        let message = |role, content| ChatMessage { role, content };
        let history = prompt.history.iter().map(|said| {
            let role = match said.speaker {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
            };
            message(role, said.content.as_str())
        });
        Self {
            model: &config.model,
            messages: std::iter::once(message("system", prompt.system.as_str()))
                .chain(history)
                .chain([message("user", prompt.question.as_str())])
                .collect(),
            stream: true,
            keep_alive: format!("{}s", config.keep_alive.as_secs()),
            options: Options {
                num_ctx: config.window,
                num_predict: prompt.answer_tokens,
                temperature: 0.2,
            },
        }
    }
}

/// A line of the answer, or the body of a refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    #[serde(default)]
    pub(super) message: Option<Said>,
    #[serde(default)]
    pub(super) done: bool,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) prompt_eval_count: Option<u32>,
    #[serde(default)]
    pub(super) eval_count: Option<u32>,
}

/// What the model says.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    pub(super) content: String,
}
