//! Conversations in one SQLite file.

mod quota;
mod rows;
mod sessions;
mod turns;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use slipway_mesh::{
    bus::Event,
    life::{Check, Problem},
    outbox::sqlite::{BY_AGGREGATE, OWN_IDS, SCHEMA as OUTBOX, SqliteOutbox},
    page::Page,
    store::sqlite::{Database, StorageError},
};
use uuid::Uuid;

use super::{
    Asking, BeginError, Begun, ChatStore, CreateError, Lease, Quota, RenameError, Settled,
    StoreError, Stores,
};
use crate::{
    chat::{Session, SessionId, Title, Turn, UserId},
    request_key::RequestKey,
};

const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE sessions (
        id                  TEXT PRIMARY KEY,
        owner               TEXT    NOT NULL,
        title               TEXT    NOT NULL,
        created_at          INTEGER NOT NULL,
        last_message_at     INTEGER,
        request_key         TEXT UNIQUE,
        request_fingerprint TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sessions_by_owner ON sessions (owner, id);

    CREATE TABLE turns (
        session_id             TEXT    NOT NULL REFERENCES sessions (id),
        number                 INTEGER NOT NULL,
        question_id            TEXT    NOT NULL,
        question               TEXT    NOT NULL,
        asked_at               INTEGER NOT NULL,
        request_key            TEXT,
        request_fingerprint    TEXT,
        state                  TEXT    NOT NULL, -- ASKED, ANSWERED or UNANSWERED
        reason                 TEXT,
        lease_holder           TEXT,             -- only while ASKED, as is the next
        lease_until            INTEGER,
        answer_id              TEXT,
        answer                 TEXT,
        model                  TEXT,
        answered_at            INTEGER,
        latency_ms             INTEGER,
        time_to_first_token_ms INTEGER,
        prompt_tokens          INTEGER,
        answer_tokens          INTEGER,
        context                TEXT,             -- JSON
        PRIMARY KEY (session_id, number)
    ) STRICT;
    -- A session answers one question at a time.
    CREATE UNIQUE INDEX one_asked ON turns (session_id) WHERE state = 'ASKED';
    CREATE INDEX turns_by_lease ON turns (lease_until) WHERE state = 'ASKED';
    CREATE INDEX turns_answered ON turns (session_id, number) WHERE state = 'ANSWERED';
    CREATE INDEX turns_by_request ON turns (session_id, request_key)
        WHERE request_key IS NOT NULL;

    -- When a user asked, as far as it counts against the quota.
    CREATE TABLE asked (
        user_id TEXT    NOT NULL,
        at      INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX asked_by_user ON asked (user_id, at);
    ",
    OUTBOX,
    BY_AGGREGATE,
    OWN_IDS,
    "
    ALTER TABLE sessions ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
    -- Of a deleted session nothing is kept but that it was there, and what made it.
    ALTER TABLE sessions ADD COLUMN deleted_at INTEGER;
    DROP INDEX sessions_by_owner;
    CREATE INDEX sessions_by_owner ON sessions (owner, id) WHERE deleted_at IS NULL;
    ",
];

/// The SQLite backend.
#[derive(Clone)]
struct SqliteChatStore {
    db: Database,
}

impl Stores {
    /// The stores in the SQLite file at `path`, which is created if it is not there.
    /// Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, StorageError> {
        let db = Database::open(path, "chat", MIGRATIONS)?;
        Ok(Self {
            chat: Arc::new(SqliteChatStore { db: db.clone() }),
            outbox: Arc::new(SqliteOutbox::new(db)),
        })
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        Self(error.to_string())
    }
}

impl From<StorageError> for CreateError {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

impl From<StorageError> for RenameError {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

impl From<StorageError> for BeginError {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

#[async_trait]
impl Check for SqliteChatStore {
    async fn check(&self) -> Result<(), Problem> {
        self.db.check().await
    }
}

#[async_trait]
impl ChatStore for SqliteChatStore {
    async fn create(
        &self,
        session: Session,
        request: Option<RequestKey>,
    ) -> Result<Session, CreateError> {
        let create = move |c: &Connection| sessions::create(c, session, request.as_ref());
        self.db.write(create).await
    }

    async fn session(&self, id: SessionId, owner: UserId) -> Result<Option<Session>, StoreError> {
        let read = self.db.read(move |c| sessions::session(c, id, owner));
        Ok(read.await?)
    }

    async fn sessions(
        &self,
        owner: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session, SessionId>, StoreError> {
        let read = self
            .db
            .read(move |c| sessions::list(c, owner, after, limit))
            .await?;
        Ok(Page::from_overfetch(read, limit, |last| last.id))
    }

    async fn rename(
        &self,
        id: SessionId,
        owner: UserId,
        title: Title,
        expected: Option<u64>,
    ) -> Result<Session, RenameError> {
        let rename = move |c: &Connection| sessions::rename(c, id, owner, title, expected);
        self.db.write(rename).await
    }

    async fn delete(
        &self,
        id: SessionId,
        owner: UserId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let delete = self.db.write(move |c| sessions::delete(c, id, owner, now));
        Ok(delete.await?)
    }

    /// A deletion is one transaction: nothing is left behind.
    async fn finish_deletions(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn count_question(
        &self,
        user: UserId,
        quota: Quota,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let count = self.db.write(move |c| quota::count(c, user, quota, now));
        Ok(count.await?)
    }

    async fn begin(&self, asking: Asking) -> Result<Begun, BeginError> {
        self.db.write(move |c| turns::begin(c, &asking)).await
    }

    async fn earlier(
        &self,
        session: SessionId,
        request: &RequestKey,
        now: Timestamp,
    ) -> Result<Option<Turn>, BeginError> {
        let request = request.clone();
        self.db
            .read(move |c| turns::earlier(c, session, &request, now))
            .await
    }

    async fn renew(&self, session: SessionId, lease: Lease) -> Result<bool, StoreError> {
        Ok(self
            .db
            .write(move |c| turns::renew(c, session, lease))
            .await?)
    }

    async fn settle(
        &self,
        session: SessionId,
        holder: Uuid,
        state: Settled,
        event: Option<Event>,
    ) -> Result<bool, StoreError> {
        let settle =
            move |c: &Connection| turns::settle(c, session, holder, &state, event.as_ref());
        Ok(self.db.write(settle).await?)
    }

    async fn settle_expired(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let settle = self.db.write(move |c| turns::settle_expired(c, now, limit));
        Ok(settle.await?)
    }

    async fn turns(
        &self,
        session: SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Turn>, StoreError> {
        let read = self
            .db
            .read(move |c| turns::following(c, session, after, limit));
        Ok(read.await?)
    }

    async fn answered_before(
        &self,
        session: SessionId,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Turn>, StoreError> {
        let read = self
            .db
            .read(move |c| turns::answered_before(c, session, before, limit));
        Ok(read.await?)
    }
}

#[cfg(test)]
mod tests {
    use slipway_mesh::store::sqlite::testing::search;

    use super::*;
    use crate::store::contract;

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat.db");
        let open = move || Stores::sqlite(&path).unwrap();
        (dir, open)
    });

    #[test]
    fn what_is_asked_often_is_a_search_in_an_index() {
        for sql in [
            sessions::LIST,
            sessions::BY_REQUEST,
            turns::FOLLOWING,
            turns::ANSWERED_BEFORE,
            turns::BY_REQUEST,
            turns::OPEN,
            turns::EXPIRE,
            turns::RENEW,
            quota::COUNT,
        ] {
            search(MIGRATIONS, sql);
        }
    }
}
