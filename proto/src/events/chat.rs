//! Events about conversations with the assistant. None contains what was said.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `chat.answered`: an answer of the assistant was stored. Contains neither its text nor the
/// question's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatAnsweredEvent {
    /// Id of the session.
    pub session_id: Uuid,
    /// Id of the answer.
    pub message_id: Uuid,
    /// The user who asked.
    pub user_id: Uuid,
    /// The model that answered; `builtin` is the built-in assistant.
    pub model: String,
    /// Milliseconds from the question to the end of the answer.
    pub latency_ms: u64,
    /// Milliseconds from the question to the first text of the answer.
    pub time_to_first_token_ms: u64,
    /// Tokens of the prompt, if the model counts them.
    pub prompt_tokens: Option<u32>,
    /// Tokens of the answer, if the model counts them.
    pub answer_tokens: Option<u32>,
}
