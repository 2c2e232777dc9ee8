//! Stores conversations.
//!
//! The database enforces one rule: **a session answers one question at a time.** An open question
//! has a lease, held by the answering process and renewed while the model writes. If the process
//! dies, the lease expires, and the next question, or the sweep of any replica, settles the
//! question as interrupted.
//!
//! A session is one document that contains its newest turn. Asking, answering and settling are each
//! one write of this document, together with its events. Before the next question is stored, the
//! previous turn, which can no longer change, is copied to the collection of turns; copying it
//! twice has no effect. So no transaction is needed, and a session's document does not grow.
//!
//! Deleting a session is also one write, which leaves only a tombstone. Its other turns are erased
//! after that: at once, and once more by a sweep, in case a process died or was late.

mod document;
mod earlier;
mod quota;
mod sessions;
#[cfg(test)]
mod tests;
mod turns;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_mongo as mongo;
use slipway_rpc::error::Fault;
use slipway_runtime::life::{Check, Problem};
use slipway_sqlite as sqlite;
use slipway_store::outbox::OutboxStore;
use slipway_store::{Document as _, Documents, Schema};
use uuid::Uuid;

use self::{document::StoredSession, earlier::EarlierTurn, quota::Asked};
use crate::{
    chat::{Question, Reason, SessionId, Turn, TurnState, UserId},
    request_key::RequestKey,
};

/// How long a request's idempotency key is remembered.
pub use slipway_store::receipts::RECEIPT_TTL as REQUEST_KEY_TTL;

/// The MongoDB database of this service.
pub const DATABASE: &str = "slipway_chat";

/// All collections.
pub const COLLECTIONS: Schema = &[
    StoredSession::COLLECTION,
    EarlierTurn::COLLECTION,
    Asked::COLLECTION,
];

/// The database failed, or the data could not be stored.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(#[from] slipway_store::StoreError);

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        error.0.into()
    }
}

/// Why a session was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The idempotency key was another request's.
    #[error("the idempotency key was another request's")]
    KeyReused,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a question was not stored.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// There is no such session of this owner.
    #[error("no such session")]
    NotFound,
    /// Another question is being answered.
    #[error("another question is being answered")]
    Busy,
    /// The idempotency key was another request's.
    #[error("the idempotency key was another request's")]
    KeyReused,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a session was not renamed.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    /// There is no such session of this owner.
    #[error("no such session")]
    NotFound,
    /// The session is at this revision, which is not the expected one.
    #[error("the session is at revision {0}")]
    Changed(u64),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Converts database errors to `Store`.
macro_rules! from_database {
    ($($error:ident)*) => {
        $(
            impl From<slipway_store::StoreError> for $error {
                fn from(error: slipway_store::StoreError) -> Self {
                    Self::Store(error.into())
                }
            }
        )*
    };
}

from_database!(CreateError BeginError RenameError);

/// The right to answer a question, until it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The holder: a new id for each question.
    pub holder: Uuid,
    /// When it expires.
    pub until: Timestamp,
}

/// A question to be stored.
#[derive(Debug, Clone)]
pub struct NewQuestion {
    /// The session.
    pub session: SessionId,
    /// The owner that the session must have.
    pub owner: UserId,
    /// The question; `asked_at` is the current time.
    pub question: Question,
    /// The lease of the answering process.
    pub lease: Lease,
    /// The request, by which a repetition is recognised.
    pub request: Option<RequestKey>,
}

/// The result of storing a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is stored, as the turn with this number.
    New(u64),
    /// The same request was answered before, in this turn.
    Earlier(Box<Turn>),
}

/// How many questions a user may ask within a period.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Number of questions.
    pub limit: u32,
    /// The period.
    pub window: Duration,
}

/// The outcome of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It was answered.
    Answered(Box<crate::chat::Answer>),
    /// It was not answered.
    Unanswered(Reason),
}

impl From<Settled> for TurnState {
    fn from(settled: Settled) -> Self {
        match settled {
            Settled::Answered(answer) => Self::Answered(*answer),
            Settled::Unanswered(reason) => Self::Unanswered(reason),
        }
    }
}

/// The stores of chat-svc.
#[derive(Clone)]
pub struct Stores {
    /// Conversations.
    pub chat: ChatStore,
    /// Events waiting to be published.
    pub outbox: Arc<dyn OutboxStore>,
}

impl Stores {
    /// Opens or creates the SQLite file at `path`. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, sqlite::StorageError> {
        Ok(Self::of(Documents::sqlite(path, "chat", COLLECTIONS)?))
    }

    /// Opens the MongoDB database `name`, usually [`DATABASE`], and creates missing indexes.
    ///
    /// # Errors
    /// If the server is unreachable, an index exists with a different definition, or the database
    /// was written by a version without documents.
    pub async fn mongo(client: &mongo::Client, name: &str) -> Result<Self, mongo::StorageError> {
        let documents = Documents::mongo(client, name, COLLECTIONS).await?;
        Ok(Self::of(documents))
    }

    fn of(documents: Documents) -> Self {
        Self {
            outbox: documents.outbox(),
            chat: ChatStore { documents },
        }
    }
}

/// The store of conversations.
#[derive(Clone)]
pub struct ChatStore {
    documents: Documents,
}

#[async_trait]
impl Check for ChatStore {
    async fn check(&self) -> Result<(), Problem> {
        self.documents.check().await
    }
}
