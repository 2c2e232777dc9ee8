//! What conversations need of a database: the trait, its terms, and the tests every
//! backend passes.
//!
//! The one rule that the database itself keeps: **a session answers one question at a
//! time.** An open question carries a lease, held by whoever is answering. The lease is
//! renewed while the model writes. If its holder dies it runs out, and the question is
//! settled as interrupted: by the next question, or by a sweep of any replica.

pub mod mongo;
mod sqlite;

#[cfg(test)]
pub(crate) mod contract;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_mesh::{bus::Event, error::Fault, life::Check, outbox::OutboxStore, page::Page};
use uuid::Uuid;

use crate::{
    chat::{Question, Reason, Session, SessionId, Title, Turn, TurnState, UserId},
    request_key::RequestKey,
};

/// How long a request's idempotency key is remembered.
pub use slipway_mesh::receipts::RECEIPT_TTL as REQUEST_KEY_TTL;

/// The database did not answer, or not with what it was asked for.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::unavailable("The conversations", error)
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

/// The right to answer a question, until it runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it: made up for each question.
    pub holder: Uuid,
    /// When it runs out.
    pub until: Timestamp,
}

/// A question to be stored.
#[derive(Debug, Clone)]
pub struct Asking {
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

/// Conversations.
#[async_trait]
pub trait ChatStore: Check {
    /// Stores a new session; for a request that was carried out before, returns the
    /// session as it made it then, whatever has become of it.
    ///
    /// # Errors
    /// [`CreateError`].
    async fn create(
        &self,
        session: Session,
        request: Option<RequestKey>,
    ) -> Result<Session, CreateError>;

    /// A session, if there is one of this id and owner.
    ///
    /// # Errors
    /// If the database is away.
    async fn session(&self, id: SessionId, owner: UserId) -> Result<Option<Session>, StoreError>;

    /// An owner's sessions, newest first, behind `after`.
    ///
    /// # Errors
    /// If the database is away.
    async fn sessions(
        &self,
        owner: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session, SessionId>, StoreError>;

    /// Gives a session another title, if it is at the revision `expected`; without one,
    /// at any. Returns the session.
    ///
    /// # Errors
    /// [`RenameError`].
    async fn rename(
        &self,
        id: SessionId,
        owner: UserId,
        title: Title,
        expected: Option<u64>,
    ) -> Result<Session, RenameError>;

    /// Erases a session and its turns. From then on it does not exist, and nobody holds a
    /// lease on it; that it was there is remembered for its owner, who can delete it again.
    /// Events of it that wait to be published stay. `false`: this owner never had it.
    ///
    /// # Errors
    /// If the database is away.
    async fn delete(
        &self,
        id: SessionId,
        owner: UserId,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Finishes deletions that may have left something behind, of at most `limit`
    /// sessions; returns of how many.
    ///
    /// # Errors
    /// If the database is away.
    async fn finish_deletions(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Counts a question of `user` against the quota. `Some(when)`: the quota is used up,
    /// nothing was counted, and the next question is possible then.
    ///
    /// # Errors
    /// If the database is away.
    async fn count_question(
        &self,
        user: UserId,
        quota: Quota,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Stores a question, with the lease on it, if no other is being answered. An open
    /// question whose lease has run out is settled as interrupted.
    ///
    /// # Errors
    /// [`BeginError`].
    async fn begin(&self, asking: Asking) -> Result<Begun, BeginError>;

    /// The turn in which a request was answered, if that was within the last
    /// [`REQUEST_KEY_TTL`].
    ///
    /// # Errors
    /// [`BeginError`]: as [`Self::begin`] would refuse it.
    async fn earlier(
        &self,
        session: SessionId,
        request: &RequestKey,
        now: Timestamp,
    ) -> Result<Option<Turn>, BeginError>;

    /// Extends a lease; `false` if it is lost: the question was settled by another.
    ///
    /// # Errors
    /// If the database is away.
    async fn renew(&self, session: SessionId, lease: Lease) -> Result<bool, StoreError>;

    /// Settles the question under `holder`'s lease, with the event of it if there is one,
    /// in one write; `false` if the lease is lost, and then nothing is stored.
    ///
    /// # Errors
    /// If the database is away.
    async fn settle(
        &self,
        session: SessionId,
        holder: Uuid,
        state: Settled,
        event: Option<Event>,
    ) -> Result<bool, StoreError>;

    /// Settles questions whose leases have run out as interrupted, at most `limit`;
    /// returns how many.
    ///
    /// # Errors
    /// If the database is away.
    async fn settle_expired(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// A session's turns with greater numbers than `after`, in order.
    ///
    /// # Errors
    /// If the database is away.
    async fn turns(
        &self,
        session: SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Turn>, StoreError>;

    /// The newest answered turns with smaller numbers than `before`, in order.
    ///
    /// # Errors
    /// If the database is away.
    async fn answered_before(
        &self,
        session: SessionId,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Turn>, StoreError>;
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
    pub chat: Arc<dyn ChatStore>,
    /// Events to be published.
    pub outbox: Arc<dyn OutboxStore>,
}
