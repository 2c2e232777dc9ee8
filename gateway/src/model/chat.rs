//! Sessions and messages of the assistant.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::chat::v1::{self, message::About};
use utoipa::ToSchema;

use super::{
    Id, Malformed, Paging,
    proto::{self, required},
};

/// A new conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSession {
    /// Its title; left out: "New conversation".
    #[schema(max_length = 200)]
    title: Option<String>,
}

impl From<NewSession> for v1::CreateSessionRequest {
    fn from(session: NewSession) -> Self {
        Self {
            title: session.title.unwrap_or_default(),
        }
    }
}

/// Another title for a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionTitle {
    #[schema(min_length = 1, max_length = 200)]
    title: String,
}

impl SessionTitle {
    /// The request that renames a session, at any revision.
    pub(crate) fn of(self, session: Id) -> v1::RenameSessionRequest {
        v1::RenameSessionRequest {
            session_id: session.to_string(),
            title: self.title,
            revision: 0,
        }
    }
}

/// A conversation. Only its owner can see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChatSession {
    pub(crate) id: Id,
    /// The same as `id`.
    session_id: Id,
    title: String,
    created_at: Timestamp,
    /// `null` before the first question.
    #[schema(required)]
    last_message_at: Option<Timestamp>,
    /// 1, and one more with each new title. In quotes it is the `ETag`.
    pub(crate) revision: u64,
}

impl TryFrom<v1::Session> for ChatSession {
    type Error = Malformed;

    fn try_from(session: v1::Session) -> Result<Self, Malformed> {
        let id = proto::id("session id", &session.id)?;
        Ok(Self {
            id,
            session_id: id,
            title: session.title,
            created_at: proto::time("created_at", session.created_at)?,
            last_message_at: proto::optional_time("last_message_at", session.last_message_at)?,
            revision: session.revision,
        })
    }
}

/// The list of sessions has no parameters of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsQuery {}

impl SessionsQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListSessionsRequest {
        v1::ListSessionsRequest {
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}

/// The history of a session has no parameters of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {}

impl HistoryQuery {
    /// The request for this page of the history.
    pub(crate) fn page(self, session: Id, paging: Paging) -> v1::GetHistoryRequest {
        v1::GetHistoryRequest {
            session_id: session.to_string(),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    /// It must also fit into the model's context window.
    #[schema(min_length = 1, max_length = 8000)]
    message: String,
}

impl Said {
    /// The question, asked in a session.
    pub(crate) fn asked_in(self, session: Id) -> v1::StreamMessageRequest {
        v1::StreamMessageRequest {
            session_id: session.to_string(),
            content: self.message,
        }
    }
}

/// The context that the model got with a question.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChatContext {
    /// The tasks in the context.
    task_ids: Vec<Id>,
    /// The releases in the context.
    release_ids: Vec<Id>,
    /// The number of earlier messages of the session in the context.
    messages: u32,
    /// The number of messages that did not fit.
    dropped: u32,
}

/// An answer of the assistant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssistantAnswer {
    id: Id,
    session_id: Id,
    #[schema(inline)]
    role: Assistant,
    content: String,
    /// The model that wrote it. `builtin` is the built-in assistant, which answers by rules.
    model: String,
    created_at: Timestamp,
    /// Milliseconds from the question to the end of the answer.
    latency_ms: u64,
    /// Milliseconds from the question to the first text of the answer.
    time_to_first_token_ms: u64,
    /// As the model counts; `null` if it does not.
    #[schema(required)]
    prompt_tokens: Option<u32>,
    /// As the model counts; `null` if it does not.
    #[schema(required)]
    answer_tokens: Option<u32>,
    context: ChatContext,
}

/// The role of answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Assistant {
    Assistant,
}

/// The role of questions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum User {
    User,
}

/// A question, and its state.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserQuestion {
    id: Id,
    session_id: Id,
    #[schema(inline)]
    role: User,
    content: String,
    created_at: Timestamp,
    #[schema(inline)]
    state: QuestionState,
    /// Why there is no answer: `UNAVAILABLE`, `MODEL_MISSING`, `TIMEOUT`, `TRUNCATED`,
    /// `MALFORMED`, `ONLY_THINKING`, `EMPTY`, `SERVER_ERROR`, `BUSY`, `CANCELLED`,
    /// `INTERRUPTED` or `CONTEXT_UNAVAILABLE`. `null` unless the state is `UNANSWERED`.
    #[schema(required)]
    reason: Option<String>,
}

/// The state of a question.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum QuestionState {
    /// The assistant is working on the answer.
    Asked,
    /// Its answer follows.
    Answered,
    /// It has no answer, and will get none.
    Unanswered,
}

/// A message of a session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ChatMessage {
    Question(UserQuestion),
    Answer(AssistantAnswer),
}

impl TryFrom<v1::Message> for ChatMessage {
    type Error = Malformed;

    fn try_from(mut message: v1::Message) -> Result<Self, Malformed> {
        match required("message", message.about.take())? {
            About::Question(info) => question(message, info).map(Self::Question),
            About::Answer(info) => answer(message, info).map(Self::Answer),
        }
    }
}

impl TryFrom<v1::Message> for AssistantAnswer {
    type Error = Malformed;

    fn try_from(mut message: v1::Message) -> Result<Self, Malformed> {
        match message.about.take() {
            Some(About::Answer(info)) => answer(message, info),
            _ => required("answer", None),
        }
    }
}

fn question(message: v1::Message, info: v1::QuestionInfo) -> Result<UserQuestion, Malformed> {
    let state = match info.state() {
        v1::QuestionState::Unspecified => return required("question state", None),
        v1::QuestionState::Asked => QuestionState::Asked,
        v1::QuestionState::Answered => QuestionState::Answered,
        v1::QuestionState::Unanswered => QuestionState::Unanswered,
    };
    let reason = match info.reason() {
        v1::UnansweredReason::Unspecified => None,
        reason => reason.as_str_name().strip_prefix("UNANSWERED_REASON_"),
    };
    Ok(UserQuestion {
        id: proto::id("message id", &message.id)?,
        session_id: proto::id("session id", &message.session_id)?,
        role: User::User,
        content: message.content,
        created_at: proto::time("created_at", message.created_at)?,
        state,
        reason: reason.map(str::to_owned),
    })
}

fn answer(message: v1::Message, info: v1::AnswerInfo) -> Result<AssistantAnswer, Malformed> {
    let context = required("context", info.context)?;
    Ok(AssistantAnswer {
        id: proto::id("message id", &message.id)?,
        session_id: proto::id("session id", &message.session_id)?,
        role: Assistant::Assistant,
        content: message.content,
        model: info.model,
        created_at: proto::time("created_at", message.created_at)?,
        latency_ms: info.latency_ms,
        time_to_first_token_ms: info.time_to_first_token_ms,
        prompt_tokens: info.prompt_tokens,
        answer_tokens: info.answer_tokens,
        context: ChatContext {
            task_ids: ids(&context.task_ids)?,
            release_ids: ids(&context.release_ids)?,
            messages: context.messages,
            dropped: context.dropped,
        },
    })
}

fn ids(texts: &[String]) -> Result<Vec<Id>, Malformed> {
    texts
        .iter()
        .map(|text| proto::id("context", text))
        .collect()
}
