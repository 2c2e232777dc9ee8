//! Translates conversations to protobuf messages.

use slipway_proto::{
    chat::v1::{self as proto, message::About},
    time::to_proto as time,
};
use uuid::Uuid;

use crate::chat::{Answer, Message, Question, Reason, Session, SessionId, TurnState};

pub(super) fn session(session: &Session) -> proto::Session {
    proto::Session {
        id: session.id.to_string(),
        title: session.title.as_str().to_owned(),
        created_at: Some(time(session.created_at)),
        last_message_at: session.last_message_at.map(time),
        revision: session.revision,
    }
}

pub(super) fn message(session: SessionId, message: Message) -> proto::Message {
    match message {
        Message::Question(asked, state) => question(session, &asked, &state),
        Message::Answer(given) => answer(session, given),
    }
}

fn question(session: SessionId, question: &Question, state: &TurnState) -> proto::Message {
    let (state, reason) = match state {
        TurnState::Asked => (proto::QuestionState::Asked, None),
        TurnState::Answered(_) => (proto::QuestionState::Answered, None),
        TurnState::Unanswered(reason) => (proto::QuestionState::Unanswered, Some(*reason)),
    };
    let reason = reason.map_or(proto::UnansweredReason::Unspecified, self::reason);
    proto::Message {
        id: question.id.to_string(),
        session_id: session.to_string(),
        role: proto::MessageRole::User.into(),
        content: question.content.as_str().to_owned(),
        created_at: Some(time(question.asked_at)),
        about: Some(About::Question(proto::QuestionInfo {
            state: state.into(),
            reason: reason.into(),
        })),
    }
}

fn answer(session: SessionId, answer: Answer) -> proto::Message {
    let ids = |ids: &[Uuid]| ids.iter().map(Uuid::to_string).collect();
    proto::Message {
        id: answer.id.to_string(),
        session_id: session.to_string(),
        role: proto::MessageRole::Assistant.into(),
        content: answer.content,
        created_at: Some(time(answer.answered_at)),
        about: Some(About::Answer(proto::AnswerInfo {
            model: answer.model,
            latency_ms: answer.latency_ms,
            time_to_first_token_ms: answer.time_to_first_token_ms,
            prompt_tokens: answer.tokens.prompt,
            answer_tokens: answer.tokens.answer,
            context: Some(proto::Context {
                task_ids: ids(&answer.context.task_ids),
                release_ids: ids(&answer.context.release_ids),
                messages: answer.context.messages,
                dropped: answer.context.dropped,
            }),
        })),
    }
}

fn reason(reason: Reason) -> proto::UnansweredReason {
    match reason {
        Reason::Unavailable => proto::UnansweredReason::Unavailable,
        Reason::ModelMissing => proto::UnansweredReason::ModelMissing,
        Reason::Timeout => proto::UnansweredReason::Timeout,
        Reason::Truncated => proto::UnansweredReason::Truncated,
        Reason::Malformed => proto::UnansweredReason::Malformed,
        Reason::OnlyThinking => proto::UnansweredReason::OnlyThinking,
        Reason::Empty => proto::UnansweredReason::Empty,
        Reason::ServerError => proto::UnansweredReason::ServerError,
        Reason::Busy => proto::UnansweredReason::Busy,
        Reason::Cancelled => proto::UnansweredReason::Cancelled,
        Reason::Interrupted => proto::UnansweredReason::Interrupted,
        Reason::ContextUnavailable => proto::UnansweredReason::ContextUnavailable,
    }
}
