//! Conversations: sessions, and the turns they consist of. Pure.
//!
//! A turn is a question and what became of it. A failure is the state of a question; it is
//! never an answer.

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
    /// Identifies the account a session belongs to.
    UserId
}

/// The revision of a session that was never renamed.
pub const FIRST_REVISION: u64 = 1;

/// A conversation. It belongs to its owner; for everybody else it does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub owner: UserId,
    /// What its owner calls it.
    pub title: Title,
    /// When it began.
    pub created_at: Timestamp,
    /// When the newest message was stored.
    pub last_message_at: Option<Timestamp>,
    /// [`FIRST_REVISION`], and one more with each new title.
    pub revision: u64,
}

/// A question, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// 1 for the first of the session, then 2, 3, ….
    pub number: u64,
    /// What was asked.
    pub question: Question,
    /// What became of it.
    pub state: TurnState,
}

/// What a user asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Its id as a message.
    pub id: MessageId,
    /// The text.
    pub content: QuestionText,
    /// When it was stored: before the model was asked.
    pub asked_at: Timestamp,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TurnState {
    /// The assistant is at it.
    Asked,
    /// It is answered.
    Answered(Answer),
    /// There is no answer, and there will be none.
    Unanswered(Reason),
}

/// What the assistant answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Its id as a message.
    pub id: MessageId,
    /// The text.
    pub content: String,
    /// Who wrote it.
    pub model: String,
    /// When it was stored.
    pub answered_at: Timestamp,
    /// Milliseconds from the question to the end of the answer.
    pub latency_ms: u64,
    /// Milliseconds from the question to the first text of the answer.
    pub time_to_first_token_ms: u64,
    /// Tokens as the model counts them.
    pub tokens: Tokens,
    /// What it was given.
    pub context: UsedContext,
}

/// Tokens as a model counts them, if it does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Of the prompt.
    pub prompt: Option<u32>,
    /// Of the answer.
    pub answer: Option<u32>,
}

/// What a model was given along with a question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsedContext {
    /// Tasks that it was told of.
    pub task_ids: Vec<Uuid>,
    /// Releases that it was told of.
    pub release_ids: Vec<Uuid>,
    /// How many earlier messages it was shown.
    pub messages: u32,
    /// How many more there was no room for.
    pub dropped: u32,
}

/// Declares [`Reason`] once, with the name under which each is stored and counted.
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

            /// The name under which it is stored, counted and told to clients.
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
    /// The model's answer broke off.
    Truncated = "TRUNCATED",
    /// The model's answer made no sense.
    Malformed = "MALFORMED",
    /// The model spent its answer on thinking and said nothing.
    OnlyThinking = "ONLY_THINKING",
    /// The model's answer was empty.
    Empty = "EMPTY",
    /// The model's server reported an error.
    ServerError = "SERVER_ERROR",
    /// The question waited too long for its turn.
    Busy = "BUSY",
    /// Who asked left before the answer was complete.
    Cancelled = "CANCELLED",
    /// The process that was answering ended.
    Interrupted = "INTERRUPTED",
    /// What the answer is about could not be fetched.
    ContextUnavailable = "CONTEXT_UNAVAILABLE",
}

/// A message, as the history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A question, and what became of it.
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

    /// Its messages, each with its place in the session: a turn has two places, also
    /// while the second is empty.
    #[must_use]
    pub fn messages(self) -> Vec<(u64, Message)> {
        let place = 2 * self.number - 1;
        let answer = self.answer().cloned().map(Message::Answer);
        let question = Message::Question(self.question, self.state);
        std::iter::once((place, question))
            .chain(answer.map(|answer| (place + 1, answer)))
            .collect()
    }

    /// The number of the last turn all of whose places are `place` or before.
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
    fn places_go_on_from_turn_to_turn_and_name_their_turn() {
        let unanswered = turn(3, TurnState::Unanswered(Reason::Timeout));
        let places: Vec<u64> = unanswered.messages().iter().map(|found| found.0).collect();
        assert_eq!(places, [5]);
        // Behind place 5 (question 3) its answer may follow, behind 6 question 4.
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
