//! Conversations in MongoDB.
//!
//! A session is one document, and holds its newest turn: asking, answering and settling
//! are each one guarded write of that one document, with the events of it. When the next
//! question comes, the turn before it, which cannot change any more, is copied to the
//! collection of turns first; a copy that is there already is the same. So no transaction
//! is needed, and a session's document does not grow.
//!
//! A session is deleted by one write too, which takes from its document all but its outbox
//! and what made it. Its other turns are erased after that: at once, and once more by a
//! sweep, for whoever died or was late.

mod documents;
#[cfg(test)]
mod plans;
mod quota;
mod sessions;
mod turns;

use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{Document, doc},
};
use slipway_mesh::{
    bus::Event,
    life::{Check, Problem},
    outbox::mongo::{MongoOutbox, index as outbox_index},
    page::Page,
    store::mongo::{Client, Database, Index, StorageError, bounded, to_bson},
};
use uuid::Uuid;

use self::documents::{ArchivedTurn, SessionDocument};
use super::{
    Asking, BeginError, Begun, ChatStore, CreateError, Lease, Quota, RenameError, Settled,
    StoreError, Stores,
};
use crate::{
    chat::{Session, SessionId, Title, Turn, UserId},
    request_key::RequestKey,
};

/// The database of this service.
pub const DATABASE: &str = "slipway_chat";

const SESSIONS: &str = "sessions";
const TURNS: &str = "turns";
const QUOTAS: &str = "quotas";

/// The index whose refusal means that a request was carried out before.
const BY_REQUEST: &str = "by_request";

const INDEXES: &[Index] = &[
    Index::on(SESSIONS, "by_owner", &[("owner", 1), ("_id", -1)]),
    Index::on(SESSIONS, BY_REQUEST, &[("requestKey", 1)])
        .unique()
        .having("requestKey"),
    Index::on(SESSIONS, "by_lease", &[("turn.lease.until", 1)]).having("turn.lease.until"),
    Index::on(SESSIONS, "by_deletion", &[(sessions::UNFINISHED, 1)]).having(sessions::UNFINISHED),
    outbox_index(SESSIONS),
    Index::on(TURNS, "turn", &[("session", 1), ("number", 1)]).unique(),
    Index::on(
        TURNS,
        "by_state",
        &[("session", 1), ("state", 1), ("number", -1)],
    ),
    Index::on(
        TURNS,
        "turn_by_request",
        &[("session", 1), ("requestKey", 1)],
    )
    .having("requestKey"),
];

/// The MongoDB backend. It keeps nothing in the process.
#[derive(Clone)]
struct MongoChatStore {
    database: Database,
    sessions: Collection<SessionDocument>,
    turns: Collection<ArchivedTurn>,
}

impl Stores {
    /// The stores in the MongoDB database `name`, usually [`DATABASE`]; its indexes are
    /// built if they are not there.
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub async fn mongo(client: &Client, name: &str) -> Result<Self, StorageError> {
        let database = Database::open(client, name, INDEXES).await?;
        Ok(Self {
            chat: Arc::new(MongoChatStore {
                sessions: database.collection(SESSIONS),
                turns: database.collection(TURNS),
                database: database.clone(),
            }),
            outbox: Arc::new(MongoOutbox::new(database, &[SESSIONS])),
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
impl Check for MongoChatStore {
    async fn check(&self) -> Result<(), Problem> {
        self.database.check().await
    }
}

#[async_trait]
impl ChatStore for MongoChatStore {
    async fn create(
        &self,
        session: Session,
        request: Option<RequestKey>,
    ) -> Result<Session, CreateError> {
        self.create_session(session, request).await
    }

    async fn session(&self, id: SessionId, owner: UserId) -> Result<Option<Session>, StoreError> {
        let found = self.load(doc! { "_id": id.to_string(), "owner": owner.to_string() });
        Ok(found.await?.map(Session::try_from).transpose()?)
    }

    async fn sessions(
        &self,
        owner: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session, SessionId>, StoreError> {
        let find = self
            .sessions
            .find(sessions::listed(owner, after))
            .sort(doc! { "_id": -1 })
            .projection(doc! { "turn": 0, "outbox": 0 })
            .limit(i64::from(limit) + 1);
        let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let found = found.into_iter().map(Session::try_from);
        let found: Vec<_> = found.collect::<Result<_, _>>()?;
        Ok(Page::from_overfetch(found, limit, |last| last.id))
    }

    async fn rename(
        &self,
        id: SessionId,
        owner: UserId,
        title: Title,
        expected: Option<u64>,
    ) -> Result<Session, RenameError> {
        self.rename_session(id, owner, title, expected).await
    }

    async fn delete(
        &self,
        id: SessionId,
        owner: UserId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.delete_session(id, owner, now).await?)
    }

    async fn finish_deletions(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self.erase_left(now, limit).await?)
    }

    async fn count_question(
        &self,
        user: UserId,
        quota: Quota,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let counts = self.database.collection(QUOTAS);
        Ok(quota::count_question(&counts, user, quota, now).await?)
    }

    async fn begin(&self, asking: Asking) -> Result<Begun, BeginError> {
        self.begin_turn(asking).await
    }

    async fn earlier(
        &self,
        session: SessionId,
        request: &RequestKey,
        now: Timestamp,
    ) -> Result<Option<Turn>, BeginError> {
        match self.load(doc! { "_id": session.to_string() }).await? {
            Some(document) => self.earlier_in(&document, request, now).await,
            None => Ok(None),
        }
    }

    async fn renew(&self, session: SessionId, lease: Lease) -> Result<bool, StoreError> {
        let renewal = doc! { "$set": { "turn.lease.until": to_bson(lease.until) } };
        let held = turns::held_by(session, lease.holder);
        Ok(self.update(held, renewal).await?)
    }

    async fn settle(
        &self,
        session: SessionId,
        holder: Uuid,
        state: Settled,
        event: Option<Event>,
    ) -> Result<bool, StoreError> {
        let change = turns::settlement(&state, event.as_ref())?;
        let held = turns::held_by(session, holder);
        Ok(self.update(held, change).await?)
    }

    async fn settle_expired(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self.interrupt_expired(now, limit).await?)
    }

    async fn turns(
        &self,
        session: SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Turn>, StoreError> {
        Ok(self.turns_behind(session, after, limit).await?)
    }

    async fn answered_before(
        &self,
        session: SessionId,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Turn>, StoreError> {
        Ok(self.newest_answered(session, before, limit).await?)
    }
}

impl MongoChatStore {
    /// A session that is not deleted.
    async fn load(&self, mut condition: Document) -> Result<Option<SessionDocument>, StorageError> {
        condition.extend(sessions::alive());
        let find = self
            .sessions
            .find_one(condition)
            .projection(doc! { "outbox": 0 });
        bounded(find.into_future()).await
    }

    /// Whether there was a session as `guard` wants it, which is now changed.
    async fn update(&self, guard: Document, change: Document) -> Result<bool, StorageError> {
        loop {
            let update = self.sessions.update_one(guard.clone(), change.clone());
            match bounded(update.into_future()).await {
                Ok(result) => return Ok(result.matched_count == 1),
                Err(error) if error.gave_way() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use slipway_mesh::store::mongo::testing::Scratch;

    use super::*;
    use crate::store::contract;

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let stores = Stores::mongo(scratch.client(), scratch.name())
            .await
            .unwrap();
        // They keep nothing in the process: a clone is as good as another replica's.
        (scratch, move || stores.clone())
    });
}
