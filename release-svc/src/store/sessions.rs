//! Stores sessions: one document per session.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_bus::Event;
use slipway_rpc::page::Page;
use slipway_store::{
    Collection, Document, Documents, Entries, Index, Query, Refusal, Write, by_time,
};

use super::{InsertTokenError, StoreError};
use crate::{
    identity::UserId,
    sessions::{End, MAX_LIVE, Session, SessionId},
};

/// The sign-ins of a user that have not ended, oldest first.
const LIVE: Index = Index::list("live");

/// The tokens for programs of a user that are not revoked, oldest first.
const TOKENS: Index = Index::list("tokens");

/// No two tokens of a user have the same name.
const TOKEN_NAME: Index = Index::unique("token_name");

/// No two tokens of a user have the same slot.
const TOKEN_SLOT: Index = Index::unique("token_slot");

/// Sessions by the time at which they ended or will expire, under [`ENDED`] or [`OPEN`].
const BY_END: Index = Index::list("by_end").with_summaries();

const ENDED: &str = "ended";
const OPEN: &str = "open";

/// Ended sessions that one query reads.
const ENDED_PAGE: u32 = 500;

/// Documents that one write purges.
const PURGED: u32 = 500;

/// A session in the list of ended ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionEnd {
    /// Its id.
    pub id: SessionId,
    /// When it ended; `None` if it has not.
    pub ended_at: Option<Timestamp>,
    /// From then on no token of it can be valid.
    pub until: Option<Timestamp>,
}

impl Document for Session {
    const COLLECTION: Collection = Collection::new(
        "sessions",
        1,
        &[LIVE, BY_END, TOKENS, TOKEN_NAME, TOKEN_SLOT],
    )
    .with_events();

    type Summary = SessionEnd;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, entries: &mut Entries) {
        match &self.ended {
            Some(end) => entries.list(&BY_END, ENDED, by_time(end.at, self.id)),
            None => {
                match &self.program {
                    None => entries.list(&LIVE, self.user, self.id),
                    Some(program) => {
                        let user = self.user;
                        entries.list(&TOKENS, user, self.id);
                        entries.unique(&TOKEN_NAME, format!("{user} {}", program.name_key()));
                        entries.unique(&TOKEN_SLOT, format!("{user} {}", program.slot));
                    }
                }
                entries.list(&BY_END, OPEN, by_time(self.expires_at, self.id));
            }
        }
    }

    fn summary(&self) -> SessionEnd {
        SessionEnd {
            id: self.id,
            ended_at: self.ended.map(|end| end.at),
            until: self.ended.map(|end| end.until),
        }
    }
}

/// The sessions.
#[derive(Clone)]
pub struct SessionStore {
    documents: Documents,
}

impl SessionStore {
    pub(super) fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// Whether no other process can end a session.
    #[must_use]
    pub fn sole_owner(&self) -> bool {
        self.documents.sole_owner()
    }

    /// Stores a new session.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn insert(&self, session: &Session) -> Result<(), StoreError> {
        let inserted = self.documents.write(Write::insert(session)).await?;
        Ok(inserted?)
    }

    /// Stores a new token for programs, with this event.
    ///
    /// # Errors
    /// [`InsertTokenError`].
    pub async fn insert_token(
        &self,
        token: &Session,
        event: Event,
    ) -> Result<(), InsertTokenError> {
        let write = Write::insert(token).with_events([&event]);
        match self.documents.write(write).await? {
            Ok(()) => Ok(()),
            Err(Refusal::Taken(Some(index))) if index == TOKEN_NAME.name => {
                Err(InsertTokenError::NameTaken)
            }
            Err(Refusal::Taken(Some(index))) if index == TOKEN_SLOT.name => {
                Err(InsertTokenError::SlotTaken)
            }
            Err(refusal) => Err(StoreError::from(refusal).into()),
        }
    }

    /// A page of the tokens for programs of a user that are not revoked, newest first.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn tokens(
        &self,
        user: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session, SessionId>, StoreError> {
        self.page(&TOKENS, user, after, limit).await
    }

    /// One session.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn get(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.documents.get(id).await
    }

    /// Reads a session, calls `decide` for its new state, and stores that; starts again if others
    /// have changed it meanwhile.
    ///
    /// # Errors
    /// If the database is unavailable: then it is unknown whether the change is stored.
    pub async fn update(
        &self,
        id: SessionId,
        decide: impl FnMut(Option<&Session>) -> Option<Session>,
    ) -> Result<Option<Session>, StoreError> {
        self.documents.update(id, decide).await
    }

    /// Ends a session, with this event; `None` if it is unknown or has ended already.
    ///
    /// # Errors
    /// See [`Self::update`].
    pub async fn end(
        &self,
        id: SessionId,
        end: End,
        event: Event,
    ) -> Result<Option<Session>, StoreError> {
        let decide = |before: Option<&Session>| before.and_then(|before| before.end(end));
        self.documents.update_with(id, &[event], decide).await
    }

    /// A page of the sign-ins of a user that have not ended, newest first.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn list(
        &self,
        user: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session, SessionId>, StoreError> {
        self.page(&LIVE, user, after, limit).await
    }

    async fn page(
        &self,
        index: &Index,
        user: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session, SessionId>, StoreError> {
        let query = Query::last(limit + 1, user).behind(after);
        let found = self.documents.list::<Session>(index, &query).await?;
        Ok(Page::from_overfetch(found, limit, |last| last.id))
    }

    /// The sign-ins of a user beyond [`MAX_LIVE`], those first that were not used for the longest
    /// time. `new` is never one of them.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn excess(&self, user: UserId, new: SessionId) -> Result<Vec<SessionId>, StoreError> {
        let beyond = Query::first(MAX_LIVE + 1, user);
        if self.documents.count::<Session>(&LIVE, &beyond).await? <= u64::from(MAX_LIVE) {
            return Ok(Vec::new());
        }
        let all = Query::first(2 * MAX_LIVE, user);
        let mut found = self.documents.list::<Session>(&LIVE, &all).await?;
        let excess = found.len().saturating_sub(MAX_LIVE as usize);
        found.retain(|session| session.id != new);
        found.sort_by_key(|session| (session.last_seen_at, session.id));
        let oldest = found.into_iter().take(excess);
        Ok(oldest.map(|session| session.id).collect())
    }

    /// All sessions that ended at `since` or later, oldest first.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn ended_since(&self, since: Timestamp) -> Result<Vec<SessionEnd>, StoreError> {
        let (mut all, mut after) = (Vec::new(), by_time(since, ""));
        loop {
            let query = Query::first(ENDED_PAGE, ENDED).above(&after);
            let page = self.documents.summaries::<Session>(&BY_END, &query).await?;
            let is_last = page.len() < ENDED_PAGE as usize;
            if let Some(SessionEnd {
                id,
                ended_at: Some(at),
                ..
            }) = page.last()
            {
                after = by_time(*at, id);
            }
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Deletes the sessions that ended or expired before `before`, if no token of them can be valid
    /// at `now`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn purge(&self, before: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        for key in [ENDED, OPEN] {
            let old = Query::first(PURGED, key).below(by_time(before, ""));
            loop {
                let mut found = self.documents.list::<Session>(&BY_END, &old).await?;
                let is_last = found.len() < PURGED as usize;
                let is_over = |session: &Session| {
                    let end = session.ended.as_ref();
                    end.is_none_or(|end| end.until <= now)
                };
                found.retain(is_over);
                // Refused if it was refreshed meanwhile, or if its event is not published: the next
                // purge handles it.
                let purge = found.iter().map(Write::delete).collect();
                let purged = self.documents.write_many(purge).await?;
                if is_last || purged.is_empty() || purged.iter().any(Result::is_err) {
                    break;
                }
            }
        }
        Ok(())
    }
}
