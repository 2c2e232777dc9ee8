//! The JSON messages of Ollama's API, as far as they are used.

use ollama_rs::{
    generation::{
        chat::{ChatMessage, request::ChatMessageRequest},
        parameters::{KeepAlive, TimeUnit},
    },
    models::ModelOptions,
};
use serde::Deserialize;

use super::OllamaConfig;
use crate::prompt::{Prompt, Speaker};

/// The body of `POST /api/chat`, with a streamed answer. `quiet` asks the model not to think.
pub(super) fn request(config: &OllamaConfig, prompt: &Prompt, quiet: bool) -> ChatMessageRequest {
    // `stream` is a private field of the crate's type, so it is set through JSON.
    let mut request: ChatMessageRequest =
        serde_json::from_str(r#"{"model": "", "messages": [], "stream": true}"#)
            .expect("it has each field that is required: a test reads what is sent");
    let history = prompt.history.iter().map(|said| {
        let content = said.content.clone();
        match said.speaker {
            Speaker::User => ChatMessage::user(content),
            Speaker::Assistant => ChatMessage::assistant(content),
        }
    });
    request.model_name.clone_from(&config.model);
    request.messages = std::iter::once(ChatMessage::system(prompt.system.clone()))
        .chain(history)
        .chain([ChatMessage::user(prompt.question.clone())])
        .collect();
    let request = request
        .options(options(config, prompt))
        .keep_alive(KeepAlive::Until {
            time: config.keep_alive.as_secs(),
            unit: TimeUnit::Seconds,
        });
    if quiet { request.think(false) } else { request }
}

fn options(config: &OllamaConfig, prompt: &Prompt) -> ModelOptions {
    ModelOptions::default()
        // The context window. Ollama silently truncates longer prompts: see [`crate::prompt`].
        .num_ctx(config.window.into())
        // Maximum number of tokens of the answer.
        .num_predict(prompt.answer_tokens.try_into().unwrap_or(i32::MAX))
        // Low: answers should repeat facts, not invent stories.
        .temperature(0.2)
}

/// A line of the answer, or the body of an error response. The crate's own type does not accept
/// `null` content, and has neither errors nor the reason why an answer ended.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    #[serde(default)]
    pub(super) message: Option<ModelMessage>,
    #[serde(default)]
    pub(super) done: bool,
    /// Why it is done: `stop`, or `length` if the token limit was reached.
    #[serde(default)]
    pub(super) done_reason: Option<String>,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) prompt_eval_count: Option<u32>,
    #[serde(default)]
    pub(super) eval_count: Option<u32>,
}

/// A model's description. The crate's own type reads all of it, without a size limit.
#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    #[serde(default)]
    pub(super) capabilities: Vec<String>,
}

/// The models on the server.
#[derive(Debug, Deserialize)]
pub(super) struct Models {
    pub(super) models: Vec<Model>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) name: String,
}

/// The model's message.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ModelMessage {
    #[serde(default)]
    pub(super) content: Option<String>,
    /// The thinking, if the server separates it.
    #[serde(default)]
    pub(super) thinking: Option<String>,
}
