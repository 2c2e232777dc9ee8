//! Between documents and conversations.

use mongodb::bson::DateTime;
use serde::{Deserialize, Serialize};
use slipway_mesh::store::mongo::{StorageError, from_bson, malformed, to_bson};
use uuid::Uuid;

use crate::{
    chat::{
        Answer, MessageId, Question, QuestionText, Reason, Session, SessionId, Title, Tokens, Turn,
        TurnState, UsedContext, UserId,
    },
    request_key::RequestKey,
    store::{Asking, Lease},
};

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// A session with its newest turn. Its outbox is not read here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionDocument {
    #[serde(rename = "_id")]
    pub(super) id: String,
    schema: i32,
    owner: String,
    title: String,
    created_at: DateTime,
    #[serde(default)]
    last_message_at: Option<DateTime>,
    pub(super) revision: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_fingerprint: Option<String>,
    /// How many turns there are: the number of the newest.
    pub(super) turns: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) turn: Option<TurnDocument>,
}

/// A turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnDocument {
    pub(super) number: i64,
    question_id: String,
    question: String,
    pub(super) asked_at: DateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request_fingerprint: Option<String>,
    /// ASKED, ANSWERED or UNANSWERED.
    pub(super) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Only while ASKED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lease: Option<LeaseDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerDocument>,
}

/// The right to answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LeaseDocument {
    pub(super) holder: String,
    pub(super) until: DateTime,
}

/// An answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnswerDocument {
    id: String,
    content: String,
    model: String,
    answered_at: DateTime,
    latency_ms: i64,
    time_to_first_token_ms: i64,
    prompt_tokens: Option<u32>,
    answer_tokens: Option<u32>,
    context: UsedContextDocument,
}

/// What a model was given: ids as texts, as everywhere in the database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsedContextDocument {
    task_ids: Vec<String>,
    release_ids: Vec<String>,
    messages: u32,
    dropped: u32,
}

/// A turn that is not the newest any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ArchivedTurn {
    /// The session's id and the number: a copy made twice is one.
    #[serde(rename = "_id")]
    id: String,
    schema: i32,
    session: String,
    #[serde(flatten)]
    pub(super) turn: TurnDocument,
}

impl ArchivedTurn {
    pub(super) fn new(session: &str, turn: TurnDocument) -> Self {
        Self {
            id: format!("{session}/{}", turn.number),
            schema: SCHEMA,
            session: session.to_owned(),
            turn,
        }
    }
}

impl SessionDocument {
    pub(super) fn new(session: &Session, request: Option<&RequestKey>) -> Self {
        Self {
            id: session.id.to_string(),
            schema: SCHEMA,
            owner: session.owner.to_string(),
            title: session.title.as_str().to_owned(),
            created_at: to_bson(session.created_at),
            last_message_at: session.last_message_at.map(to_bson),
            revision: session.revision.try_into().unwrap_or(i64::MAX),
            request_key: request.map(|request| request.key.clone()),
            request_fingerprint: request.map(|request| request.fingerprint.clone()),
            turns: 0,
            turn: None,
        }
    }
}

/// A session, deleted or not, as the request that made it knows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    #[serde(rename = "_id")]
    id: String,
    created_at: DateTime,
    #[serde(default)]
    request_fingerprint: Option<String>,
}

impl Made {
    /// Whether it was made by this request.
    pub(super) fn is_of(&self, request: &RequestKey) -> bool {
        self.request_fingerprint.as_ref() == Some(&request.fingerprint)
    }

    /// The session as it was when `again` made it first.
    pub(super) fn first(&self, again: &Session) -> Result<Session, StorageError> {
        Ok(Session {
            id: SessionId(id(&self.id)?),
            created_at: from_bson(self.created_at)?,
            ..again.clone()
        })
    }
}

impl TryFrom<SessionDocument> for Session {
    type Error = StorageError;

    fn try_from(session: SessionDocument) -> Result<Self, StorageError> {
        Ok(Self {
            id: SessionId(id(&session.id)?),
            owner: UserId(id(&session.owner)?),
            title: Title::new(&session.title).map_err(malformed)?,
            created_at: from_bson(session.created_at)?,
            last_message_at: session.last_message_at.map(from_bson).transpose()?,
            revision: session.revision.try_into().map_err(malformed)?,
        })
    }
}

impl TurnDocument {
    pub(super) fn asked(number: i64, asking: &Asking) -> Self {
        let request = asking.request.as_ref();
        Self {
            number,
            question_id: asking.question.id.to_string(),
            question: asking.question.content.as_str().to_owned(),
            asked_at: to_bson(asking.question.asked_at),
            request_key: request.map(|request| request.key.clone()),
            request_fingerprint: request.map(|request| request.fingerprint.clone()),
            state: "ASKED".to_owned(),
            reason: None,
            lease: Some(asking.lease.into()),
            answer: None,
        }
    }

    /// Whether there is nothing more to become of it.
    pub(super) fn is_settled(&self) -> bool {
        self.lease.is_none()
    }
}

impl From<Lease> for LeaseDocument {
    fn from(lease: Lease) -> Self {
        Self {
            holder: lease.holder.to_string(),
            until: to_bson(lease.until),
        }
    }
}

impl TryFrom<TurnDocument> for Turn {
    type Error = StorageError;

    fn try_from(turn: TurnDocument) -> Result<Self, StorageError> {
        let state = match (turn.state.as_str(), turn.answer, turn.reason) {
            ("ASKED", _, _) => TurnState::Asked,
            ("ANSWERED", Some(answer), _) => TurnState::Answered(answer.try_into()?),
            ("UNANSWERED", _, Some(reason)) => TurnState::Unanswered(
                Reason::named(&reason).ok_or_else(|| malformed("an unknown reason"))?,
            ),
            (state, _, _) => return Err(malformed(state)),
        };
        Ok(Self {
            number: turn.number.try_into().map_err(malformed)?,
            question: Question {
                id: MessageId(id(&turn.question_id)?),
                content: QuestionText::new(&turn.question).map_err(malformed)?,
                asked_at: from_bson(turn.asked_at)?,
            },
            state,
        })
    }
}

impl From<&Answer> for AnswerDocument {
    fn from(answer: &Answer) -> Self {
        let texts = |ids: &[Uuid]| ids.iter().map(Uuid::to_string).collect();
        let millis = |millis| i64::try_from(millis).unwrap_or(i64::MAX);
        Self {
            id: answer.id.to_string(),
            content: answer.content.clone(),
            model: answer.model.clone(),
            answered_at: to_bson(answer.answered_at),
            latency_ms: millis(answer.latency_ms),
            time_to_first_token_ms: millis(answer.time_to_first_token_ms),
            prompt_tokens: answer.tokens.prompt,
            answer_tokens: answer.tokens.answer,
            context: UsedContextDocument {
                task_ids: texts(&answer.context.task_ids),
                release_ids: texts(&answer.context.release_ids),
                messages: answer.context.messages,
                dropped: answer.context.dropped,
            },
        }
    }
}

impl TryFrom<AnswerDocument> for Answer {
    type Error = StorageError;

    fn try_from(answer: AnswerDocument) -> Result<Self, StorageError> {
        let context = answer.context;
        Ok(Self {
            id: MessageId(id(&answer.id)?),
            content: answer.content,
            model: answer.model,
            answered_at: from_bson(answer.answered_at)?,
            latency_ms: answer.latency_ms.try_into().map_err(malformed)?,
            time_to_first_token_ms: answer
                .time_to_first_token_ms
                .try_into()
                .map_err(malformed)?,
            tokens: Tokens {
                prompt: answer.prompt_tokens,
                answer: answer.answer_tokens,
            },
            context: UsedContext {
                task_ids: ids(&context.task_ids)?,
                release_ids: ids(&context.release_ids)?,
                messages: context.messages,
                dropped: context.dropped,
            },
        })
    }
}

fn ids(texts: &[String]) -> Result<Vec<Uuid>, StorageError> {
    texts.iter().map(|text| id(text)).collect()
}

fn id(text: &str) -> Result<Uuid, StorageError> {
    text.parse().map_err(malformed)
}
