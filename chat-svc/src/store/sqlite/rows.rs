//! Between rows and conversations.

use rusqlite::Row;
use slipway_mesh::store::sqlite::{from_column, malformed};
use uuid::Uuid;

use crate::{
    chat::{
        Answer, MessageId, Question, QuestionText, Reason, Session, SessionId, Title, Tokens, Turn,
        TurnState, UserId,
    },
    store::StoreError,
};

/// Reads a session from a row with all columns of its table.
pub(super) fn session(row: &Row<'_>) -> Result<Session, rusqlite::Error> {
    let title: String = row.get("title")?;
    let last_message_at: Option<i64> = row.get("last_message_at")?;
    Ok(Session {
        id: SessionId(id(row, "id")?),
        owner: UserId(id(row, "owner")?),
        title: Title::new(&title).map_err(unreadable)?,
        created_at: from_column(row.get("created_at")?)?,
        last_message_at: last_message_at.map(from_column).transpose()?,
        revision: row.get("revision")?,
    })
}

/// Reads a turn from a row with all columns of its table.
pub(super) fn turn(row: &Row<'_>) -> Result<Turn, rusqlite::Error> {
    let content: String = row.get("question")?;
    Ok(Turn {
        number: row.get("number")?,
        question: Question {
            id: MessageId(id(row, "question_id")?),
            content: QuestionText::new(&content).map_err(unreadable)?,
            asked_at: from_column(row.get("asked_at")?)?,
        },
        state: state(row)?,
    })
}

fn state(row: &Row<'_>) -> Result<TurnState, rusqlite::Error> {
    match row.get::<_, String>("state")?.as_str() {
        "ASKED" => Ok(TurnState::Asked),
        "ANSWERED" => answer(row).map(TurnState::Answered),
        "UNANSWERED" => {
            let reason: String = row.get("reason")?;
            let reason = Reason::named(&reason);
            let reason = reason.ok_or_else(|| unreadable("an unknown reason"))?;
            Ok(TurnState::Unanswered(reason))
        }
        _ => Err(unreadable("an unknown state")),
    }
}

fn answer(row: &Row<'_>) -> Result<Answer, rusqlite::Error> {
    let context: String = row.get("context")?;
    Ok(Answer {
        id: MessageId(id(row, "answer_id")?),
        content: row.get("answer")?,
        model: row.get("model")?,
        answered_at: from_column(row.get("answered_at")?)?,
        latency_ms: row.get("latency_ms")?,
        time_to_first_token_ms: row.get("time_to_first_token_ms")?,
        tokens: Tokens {
            prompt: row.get("prompt_tokens")?,
            answer: row.get("answer_tokens")?,
        },
        context: serde_json::from_str(&context).map_err(malformed)?,
    })
}

pub(super) fn id(row: &Row<'_>, column: &str) -> Result<Uuid, rusqlite::Error> {
    row.get::<_, String>(column)?.parse().map_err(malformed)
}

fn unreadable(what: &str) -> rusqlite::Error {
    malformed(StoreError(what.to_owned()))
}
