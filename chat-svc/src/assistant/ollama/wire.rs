//! What goes over the wire to Ollama and back, as far as it matters here.

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

/// `POST /api/chat`, answered as a stream. `quiet`: the model is asked not to think.
pub(super) fn request(config: &OllamaConfig, prompt: &Prompt, quiet: bool) -> ChatMessageRequest {
    // Only JSON can say that the answer is to be streamed: the field is the crate's own.
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
        // The context window. What exceeds it is cut off in silence: see [`crate::prompt`].
        .num_ctx(config.window.into())
        // Tokens of the answer at most.
        .num_predict(prompt.answer_tokens.try_into().unwrap_or(i32::MAX))
        // Low: facts are to be told, not stories.
        .temperature(0.2)
}

/// A line of the answer, or the body of a refusal. The crate's own type takes no `null`
/// content, and leaves out errors and why an answer ended.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    #[serde(default)]
    pub(super) message: Option<Said>,
    #[serde(default)]
    pub(super) done: bool,
    /// Why it is done: `stop`, or `length` where there were no more tokens.
    #[serde(default)]
    pub(super) done_reason: Option<String>,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) prompt_eval_count: Option<u32>,
    #[serde(default)]
    pub(super) eval_count: Option<u32>,
}

/// What the server says of a model. The crate's own type has all that there is, at any size.
#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    #[serde(default)]
    pub(super) capabilities: Vec<String>,
}

/// The models that the server has.
#[derive(Debug, Deserialize)]
pub(super) struct Models {
    pub(super) models: Vec<Model>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) name: String,
}

/// What the model says.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    pub(super) content: Option<String>,
    /// What it thinks before that, where the server tells it apart.
    #[serde(default)]
    pub(super) thinking: Option<String>,
}
