//! Creates, finds, renames and deletes sessions.

use jiff::Timestamp;
use slipway_rpc::page::Page;
use slipway_runtime::contention::{MAX_ATTEMPTS, back_off};
use slipway_store::{Document as _, Query, Refusal, Write, behind_time};

use super::{
    ChatStore, CreateError, REQUEST_KEY_TTL, RenameError, StoreError,
    document::{BY_ERASURE, BY_OWNER, BY_REQUEST, Conversation, StoredSession},
    earlier::{BY_SESSION, EarlierTurn},
};
use crate::{
    chat::{Session, SessionId, Title, UserId},
    request_key::RequestKey,
};

/// Number of turns erased in one batch; they are read first.
const ERASED: u32 = 32;

impl ChatStore {
    /// Stores a new session. If the request was carried out before, returns the session as it was
    /// created then, even if it has changed since.
    ///
    /// # Errors
    /// [`CreateError`].
    pub async fn create(
        &self,
        session: Session,
        request: Option<RequestKey>,
    ) -> Result<Session, CreateError> {
        let stored = StoredSession::new(session.clone(), request.clone());
        for attempt in 0..MAX_ATTEMPTS {
            let written = self.documents.write(Write::insert(&stored)).await?;
            match (written, &request) {
                (Ok(()), _) => return Ok(session),
                (Err(Refusal::Taken(Some(_))), Some(request)) => {
                    if let Some(earlier) = self.made_by(request, &session).await? {
                        return Ok(earlier);
                    }
                    back_off(attempt).await;
                }
                (Err(refusal), _) => return Err(slipway_store::StoreError::from(refusal).into()),
            }
        }
        Err(slipway_store::StoreError::contended::<StoredSession>(&session.id).into())
    }

    /// The session that the request created before. `None` if its key has expired, which also frees
    /// the key.
    async fn made_by(
        &self,
        request: &RequestKey,
        again: &Session,
    ) -> Result<Option<Session>, CreateError> {
        let found = self.documents.find(&BY_REQUEST, &request.key).await?;
        let Some(found): Option<StoredSession> = found else {
            return Ok(None);
        };
        if found.created_at() <= again.created_at - REQUEST_KEY_TTL {
            let forget = |stored: Option<&StoredSession>| {
                let stored = stored.filter(|stored| stored.made_by().is_some())?;
                Some(stored.forgetting_request())
            };
            self.documents.update(found.id(), forget).await?;
            return Ok(None);
        }
        if found.made_by() != Some(request) {
            return Err(CreateError::KeyReused);
        }
        // The request is the same, so the other fields are as they were.
        Ok(Some(Session {
            id: found.session_id(),
            created_at: found.created_at(),
            ..again.clone()
        }))
    }

    /// A session with its newest turn, if it is not deleted.
    pub(super) async fn conversation(
        &self,
        id: SessionId,
    ) -> Result<Option<Conversation>, slipway_store::StoreError> {
        let stored: Option<StoredSession> = self.documents.get(id).await?;
        Ok(stored.and_then(StoredSession::into_alive))
    }

    /// A session of this owner.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn session(
        &self,
        id: SessionId,
        owner: UserId,
    ) -> Result<Option<Session>, StoreError> {
        let found = self.conversation(id).await?;
        let session = found.map(|conversation| conversation.session);
        Ok(session.filter(|session| session.owner == owner))
    }

    /// An owner's sessions, newest first, after `after`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn sessions(
        &self,
        owner: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session, SessionId>, StoreError> {
        let query = Query::last(limit.saturating_add(1), owner).behind(after);
        let found = self.documents.summaries::<StoredSession>(&BY_OWNER, &query);
        let found = found.await?.into_iter().flatten().collect();
        Ok(Page::from_overfetch(found, limit, |last: &Session| last.id))
    }

    /// Renames a session, if it is at the revision `expected`, or if that is `None`. Returns the
    /// session.
    ///
    /// # Errors
    /// [`RenameError`].
    pub async fn rename(
        &self,
        id: SessionId,
        owner: UserId,
        title: Title,
        expected: Option<u64>,
    ) -> Result<Session, RenameError> {
        let mut outcome = Err(RenameError::NotFound);
        let rename = self.documents.update(id, |stored: Option<&StoredSession>| {
            outcome = Err(RenameError::NotFound);
            let stored = stored?;
            let before = stored.alive_of(owner)?;
            let revision = before.session.revision;
            if expected.is_some_and(|expected| expected != revision) {
                outcome = Err(RenameError::Changed(revision));
                return None;
            }
            let after = before.renamed(title.clone());
            outcome = Ok(after.session.clone());
            Some(stored.with(after))
        });
        rename.await?;
        outcome
    }

    /// Deletes a session and its turns. From then on it does not exist, and its lease is lost. A
    /// tombstone remains, so that its owner can delete it again. Its events that wait to be
    /// published stay. `false` if this owner never had such a session.
    ///
    /// # Errors
    /// If the database is unavailable. If the session was deleted before that, a sweep erases its
    /// turns.
    pub async fn delete(
        &self,
        id: SessionId,
        owner: UserId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let delete = self.documents.update(id, |stored: Option<&StoredSession>| {
            let stored = stored.filter(|stored| stored.owner() == owner)?;
            Some(stored.deleted(now))
        });
        let deleted = delete.await?.is_some();
        if deleted {
            self.erase_turns(id).await?;
        }
        Ok(deleted)
    }

    /// Erases turns that deletions may have left behind, for at most `limit` sessions; returns for
    /// how many.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn finish_deletions(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let due = Query::first(limit, "").below(behind_time(now));
        let due: Vec<StoredSession> = self.documents.list(&BY_ERASURE, &due).await?;
        let mut finished = 0;
        for session in due {
            let id = session.session_id();
            self.erase_turns(id).await?;
            // If it was deleted again in the meantime, this is repeated.
            let finish = |stored: Option<&StoredSession>| stored?.erased(now);
            finished += u64::from(self.documents.update(id, finish).await?.is_some());
        }
        Ok(finished)
    }

    async fn erase_turns(&self, id: SessionId) -> Result<(), StoreError> {
        loop {
            let first = Query::first(ERASED, id);
            let turns: Vec<EarlierTurn> = self.documents.list(&BY_SESSION, &first).await?;
            if turns.is_empty() {
                return Ok(());
            }
            // A refused one was erased by another process.
            let erase = turns.iter().map(Write::delete).collect();
            self.documents.write_many(erase).await?;
        }
    }
}
