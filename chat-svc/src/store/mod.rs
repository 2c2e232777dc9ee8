//! Conversations in a database: what is kept, and the terms of those who use it.
//!
//! The one rule that the database itself keeps: **a session answers one question at a
//! time.** An open question carries a lease, held by whoever is answering. The lease is
//! renewed while the model writes. If its holder dies it runs out, and the question is
//! settled as interrupted: by the next question, or by a sweep of any replica.

//!
//! A session is one document, and holds its newest turn: asking, answering and settling
//! are each one write of that one document, with the events of it. When the next question
//! comes, the turn before it, which cannot change any more, is copied to the collection of
//! turns first; a copy that is there already is the same. So no transaction is needed, and
//! a session's document does not grow.
//!
//! A session is deleted by one write too, which leaves nothing of it but a trace.
//! Its other turns are erased after that: at once, and once more by a sweep, for whoever
//! died or was late.

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

/// What is kept.
const COLLECTIONS: Schema = &[
    StoredSession::COLLECTION,
    EarlierTurn::COLLECTION,
    Asked::COLLECTION,
];

/// The database did not answer, or not with what it was asked for.
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
    /// The database.
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
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a session was not renamed.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    /// There is no such session of this owner.
    #[error("no such session")]
    NotFound,
    /// It is at another revision than the one named: at this.
    #[error("the session is at revision {0}")]
    Changed(u64),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets errors of the database pass through as `Store`.
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

/// The right to answer a question, until it runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it: made up for each question.
    pub holder: Uuid,
    /// When it runs out.
    pub until: Timestamp,
}

/// A question to be stored.
#[derive(Debug, Clone)]
pub struct NewQuestion {
    /// In which session.
    pub session: SessionId,
    /// Whose session it must be.
    pub owner: UserId,
    /// What is asked; its time is now.
    pub question: Question,
    /// Who will answer.
    pub lease: Lease,
    /// How a repetition is recognised.
    pub request: Option<RequestKey>,
}

/// What became of an attempt to store a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is stored, and is the turn of this number.
    New(u64),
    /// The same request was answered before: this is the turn.
    Earlier(Box<Turn>),
}

/// How many questions a user may ask within which time.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Questions.
    pub limit: u32,
    /// Within this time.
    pub window: Duration,
}

/// How a question is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// With an answer.
    Answered(Box<crate::chat::Answer>),
    /// Without one.
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

/// Where chat-svc keeps what it knows.
#[derive(Clone)]
pub struct Stores {
    /// Conversations.
    pub chat: ChatStore,
    /// Events to be published.
    pub outbox: Arc<dyn OutboxStore>,
}

impl Stores {
    /// The stores in the SQLite file at `path`, which is created if it is not there.
    /// Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, sqlite::StorageError> {
        Ok(Self::of(Documents::sqlite(path, "chat", COLLECTIONS)?))
    }

    /// The stores in the MongoDB database `name`, usually [`DATABASE`]; its indexes are
    /// built if they are not there.
    ///
    /// # Errors
    /// If the server is away, an index exists with another definition, or the database is
    /// of a version without documents.
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

/// Conversations.
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
