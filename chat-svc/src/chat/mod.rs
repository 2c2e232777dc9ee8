//! Conversations: sessions and their turns. Pure.
//!
//! A turn is a question and its outcome. A failure is a state of the question, never an answer.

mod text;
mod thinking;

pub use text::{DEFAULT_TITLE, MAX_QUESTION, QuestionText, Title};
pub use thinking::{ThinkingFilter, without_thinking};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_runtime::typed_id;
use uuid::Uuid;

typed_id! {
    /// Identifies a session.
    SessionId
}
typed_id! {
    /// Identifies a message.
    MessageId
}
typed_id! {
    /// Identifies the user who owns a session.
    UserId
}

/// The revision of a session that was never renamed.
pub const FIRST_REVISION: u64 = 1;

/// A conversation. Only its owner can see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its owner.
    pub owner: UserId,
    /// The title its owner gave it.
    pub title: Title,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the newest message was stored.
    pub last_message_at: Option<Timestamp>,
    /// [`FIRST_REVISION`], plus one for each rename.
    pub revision: u64,
}

/// A question and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// Number of the turn in the session, from 1.
    pub number: u64,
    /// The question.
    pub question: Question,
    /// The outcome of the question.
    pub state: TurnState,
}

/// A question of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Its id as a message.
    pub id: MessageId,
    /// The text.
    pub content: QuestionText,
    /// When it was stored, before the model was asked.
    pub asked_at: Timestamp,
}

/// The outcome of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TurnState {
    /// The assistant is answering.
    Asked,
    /// It was answered.
    Answered(Answer),
    /// It was not answered, and will not be.
    Unanswered(Reason),
}

/// An answer of the assistant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Its id as a message.
    pub id: MessageId,
    /// The text.
    pub content: String,
    /// The model that wrote it.
    pub model: String,
    /// When it was stored.
    pub answered_at: Timestamp,
    /// Milliseconds from the question to the end of the answer.
    pub latency_ms: u64,
    /// Milliseconds from the question to the first text of the answer.
    pub time_to_first_token_ms: u64,
    /// Tokens as the model counts them.
    pub tokens: Tokens,
    /// The context that the model was given.
    pub context: UsedContext,
}

/// Token counts of the model, if it reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Tokens of the prompt.
    pub prompt: Option<u32>,
    /// Tokens of the answer.
    pub answer: Option<u32>,
}

/// The context that the model was given with a question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsedContext {
    /// Tasks in the prompt.
    pub task_ids: Vec<Uuid>,
    /// Releases in the prompt.
    pub release_ids: Vec<Uuid>,
    /// Number of earlier messages in the prompt.
    pub messages: u32,
    /// Number of earlier messages that did not fit.
    pub dropped: u32,
}

/// Declares [`Reason`] with the name under which each value is stored and counted.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// Why there is no answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Reason {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name that is stored, counted and sent to clients.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// The model's server cannot be reached.
    Unavailable = "UNAVAILABLE",
    /// The model's server does not have the model.
    ModelMissing = "MODEL_MISSING",
    /// The model was silent, or took too long.
    Timeout = "TIMEOUT",
    /// The model's answer ended early.
    Truncated = "TRUNCATED",
    /// The model's answer could not be parsed.
    Malformed = "MALFORMED",
    /// The model's answer has only thinking.
    OnlyThinking = "ONLY_THINKING",
    /// The model's answer was empty.
    Empty = "EMPTY",
    /// The model's server reported an error.
    ServerError = "SERVER_ERROR",
    /// The question waited too long in the queue.
    Busy = "BUSY",
    /// The caller disconnected before the answer was complete.
    Cancelled = "CANCELLED",
    /// The answering process ended.
    Interrupted = "INTERRUPTED",
    /// The caller's work could not be read.
    ContextUnavailable = "CONTEXT_UNAVAILABLE",
}

/// A message in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A question and its outcome.
    Question(Question, TurnState),
    /// An answer.
    Answer(Answer),
}

impl Turn {
    /// The answer, if there is one.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match &self.state {
            TurnState::Answered(answer) => Some(answer),
            TurnState::Asked | TurnState::Unanswered(_) => None,
        }
    }

    /// Its messages, each with its position in the session. A turn always takes two positions, also
    /// without an answer.
    #[must_use]
    pub fn messages(self) -> Vec<(u64, Message)> {
        let place = 2 * self.number - 1;
        let answer = self.answer().cloned().map(Message::Answer);
        let question = Message::Question(self.question, self.state);
        std::iter::once((place, question))
            .chain(answer.map(|answer| (place + 1, answer)))
            .collect()
    }

    /// The number of the last turn whose positions are all `place` or less.
    #[must_use]
    pub fn before(place: u64) -> u64 {
        place / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(number: u64, state: TurnState) -> Turn {
        Turn {
            number,
            question: Question {
                id: MessageId::generate(),
                content: QuestionText::new("why?").unwrap(),
                asked_at: Timestamp::UNIX_EPOCH,
            },
            state,
        }
    }

    #[test]
    fn positions_continue_from_turn_to_turn() {
        let unanswered = turn(3, TurnState::Unanswered(Reason::Timeout));
        let places: Vec<u64> = unanswered.messages().iter().map(|found| found.0).collect();
        assert_eq!(places, [5]);
        // Position 5 is question 3: its answer may follow. After position 6, question 4 follows.
        assert_eq!((Turn::before(5), Turn::before(6)), (2, 3));
        assert_eq!(Turn::before(0), 0);
    }

    #[test]
    fn reasons_are_stored_under_their_names() {
        for reason in Reason::ALL {
            let stored = serde_json::to_value(reason).unwrap();
            assert_eq!(stored, reason.name());
            let found: Reason = serde_json::from_value(stored).unwrap();
            assert_eq!(found, *reason);
        }
        assert!(serde_json::from_str::<Reason>("\"BAD_LUCK\"").is_err());
    }
}
