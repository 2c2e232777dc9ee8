//! How questions are asked, answered and settled, and how turns are found: the newest in
//! its session, those before it in their own collection.

use std::slice;

use jiff::Timestamp;
use slipway_bus::Event;
use slipway_runtime::contention::{MAX_ATTEMPTS, back_off};
use slipway_store::{Query, Refusal, Write, behind_time};
use uuid::Uuid;

use super::{
    BeginError, Begun, ChatStore, Lease, NewQuestion, Settled, StoreError,
    document::{BY_LEASE, Conversation, StoredSession},
    earlier::{ANSWERED, BY_SESSION, EarlierTurn, StoredTurn, TURN_BY_REQUEST, of_request, place},
};
use crate::{
    chat::{SessionId, Turn},
    request_key::RequestKey,
};

impl ChatStore {
    /// Stores a question, with the lease on it, if no other is being answered. An open
    /// question whose lease has run out is settled as interrupted.
    ///
    /// # Errors
    /// [`BeginError`].
    pub async fn begin(&self, asking: NewQuestion) -> Result<Begun, BeginError> {
        let (id, now) = (asking.session, asking.question.asked_at);
        for attempt in 0..MAX_ATTEMPTS {
            let stored: Option<StoredSession> = self.documents.get(id).await?;
            let stored = stored.ok_or(BeginError::NotFound)?;
            let before = stored.alive_of(asking.owner).ok_or(BeginError::NotFound)?;
            if let Some(request) = &asking.request
                && let Some(turn) = self.earlier_in(before, request, now).await?
            {
                return Ok(Begun::Earlier(Box::new(turn)));
            }
            if let Some(newest) = &before.newest {
                match newest.lease {
                    Some(lease) if lease.until > now => return Err(BeginError::Busy),
                    Some(_) => {
                        // Settled first, then archived: an archived turn never changes.
                        self.interrupt(id, now).await?;
                        continue;
                    }
                    None => self.archive(id, newest.clone()).await?,
                }
            }
            let after = before.asked(&asking);
            let number = after.newest.as_ref().map_or(0, |newest| newest.turn.number);
            let after = stored.with(after);
            match self
                .documents
                .write(Write::replace(&stored, &after))
                .await?
            {
                Ok(()) => return Ok(Begun::New(number)),
                Err(Refusal::Revision) => back_off(attempt).await,
                Err(refusal) => return Err(slipway_store::StoreError::from(refusal).into()),
            }
        }
        Err(slipway_store::StoreError::contended::<StoredSession>(&id).into())
    }

    /// The turn in which a request was answered, if that was within the last
    /// [`REQUEST_KEY_TTL`](super::REQUEST_KEY_TTL).
    ///
    /// # Errors
    /// [`BeginError`]: as [`Self::begin`] would refuse it.
    pub async fn earlier(
        &self,
        session: SessionId,
        request: &RequestKey,
        now: Timestamp,
    ) -> Result<Option<Turn>, BeginError> {
        match self.conversation(session).await? {
            Some(conversation) => self.earlier_in(&conversation, request, now).await,
            None => Ok(None),
        }
    }

    /// The turn in which a request was answered: the newest, or one of the others.
    async fn earlier_in(
        &self,
        conversation: &Conversation,
        request: &RequestKey,
        now: Timestamp,
    ) -> Result<Option<Turn>, BeginError> {
        let newest = conversation.newest.clone();
        let asked_by = |turn: &StoredTurn| {
            let key = turn.request.as_ref().map(|request| &request.key);
            key == Some(&request.key)
        };
        let found = match newest.filter(asked_by) {
            Some(turn) => Some(turn),
            None => {
                let last = Query::last(1, of_request(conversation.session.id, request));
                let found: Vec<EarlierTurn> = self.documents.list(&TURN_BY_REQUEST, &last).await?;
                found.into_iter().next().map(|turn| turn.stored)
            }
        };
        match found.filter(|turn| turn.counts(now)) {
            None => Ok(None),
            Some(turn) if turn.request.as_ref() != Some(request) => Err(BeginError::KeyReused),
            Some(turn) if turn.lease.is_some() => Err(BeginError::Busy),
            Some(turn) => Ok(Some(turn.turn)),
        }
    }

    async fn archive(
        &self,
        session: SessionId,
        stored: StoredTurn,
    ) -> Result<(), slipway_store::StoreError> {
        let turn = EarlierTurn { session, stored };
        match self.documents.write(Write::insert(&turn)).await? {
            // It may be there: a settled turn does not change, so it is the same.
            Ok(()) | Err(Refusal::Taken(None)) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Changes a session as `decide` says, with the event of it if there is one. `false`:
    /// there is no such session, or nothing is to be changed.
    async fn change(
        &self,
        id: SessionId,
        event: Option<&Event>,
        decide: impl Fn(&Conversation) -> Option<Conversation>,
    ) -> Result<bool, slipway_store::StoreError> {
        let events = event.map_or(&[][..], slice::from_ref);
        let change = |stored: Option<&StoredSession>| {
            let stored = stored?;
            Some(stored.with(decide(stored.alive()?)?))
        };
        let changed = self.documents.update_with(id, events, change).await?;
        Ok(changed.is_some())
    }

    /// Settles the open question as interrupted, if its lease has run out.
    async fn interrupt(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<bool, slipway_store::StoreError> {
        let interrupt = |before: &Conversation| before.interrupted(now);
        self.change(session, None, interrupt).await
    }

    /// Extends a lease; `false` if it is lost: the question was settled by another.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn renew(&self, session: SessionId, lease: Lease) -> Result<bool, StoreError> {
        let renew = |before: &Conversation| before.renewed(lease);
        Ok(self.change(session, None, renew).await?)
    }

    /// Settles the question under `holder`'s lease, with the event of it if there is one,
    /// in one write; `false` if the lease is lost, and then nothing is stored.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn settle(
        &self,
        session: SessionId,
        holder: Uuid,
        state: Settled,
        event: Option<Event>,
    ) -> Result<bool, StoreError> {
        let settle = |before: &Conversation| before.settled(holder, &state);
        Ok(self.change(session, event.as_ref(), settle).await?)
    }

    /// Settles questions whose leases have run out as interrupted, at most `limit`;
    /// returns how many.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn settle_expired(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let expired = Query::first(limit, "").below(behind_time(now));
        let found = self
            .documents
            .summaries::<StoredSession>(&BY_LEASE, &expired);
        let mut settled = 0;
        for session in found.await?.into_iter().flatten() {
            settled += u64::from(self.interrupt(session.id, now).await?);
        }
        Ok(settled)
    }

    /// A session's turns with greater numbers than `after`, in order.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn turns(
        &self,
        session: SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Turn>, StoreError> {
        // The session is read first: whatever is begun meanwhile, the turns before its
        // newest are in the collection by then.
        let Some(conversation) = self.conversation(session).await? else {
            return Ok(Vec::new());
        };
        let query = Query::first(limit, session).above(place(after));
        let mut turns = self.archived(&BY_SESSION, &query).await?;
        let last = turns.last().map_or(after, |turn| turn.number);
        let newest = conversation.newest.map(|newest| newest.turn);
        turns.extend(newest.filter(|newest| newest.number > last));
        turns.truncate(limit as usize);
        Ok(turns)
    }

    /// The newest answered turns with smaller numbers than `before`, in order.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn answered_before(
        &self,
        session: SessionId,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Turn>, StoreError> {
        let Some(conversation) = self.conversation(session).await? else {
            return Ok(Vec::new());
        };
        let wanted = |turn: &Turn| turn.answer().is_some() && turn.number < before;
        let newest = conversation.newest.map(|newest| newest.turn);
        let mut turns: Vec<_> = newest.filter(wanted).into_iter().collect();
        let oldest = turns.first().map_or(before, |turn| turn.number);
        let query = Query::last(limit, session).below(place(oldest));
        turns.extend(self.archived(&ANSWERED, &query).await?);
        turns.truncate(limit as usize);
        turns.reverse();
        Ok(turns)
    }

    async fn archived(
        &self,
        index: &slipway_store::Index,
        query: &Query,
    ) -> Result<Vec<Turn>, StoreError> {
        let found: Vec<EarlierTurn> = self.documents.list(index, query).await?;
        Ok(found.into_iter().map(|turn| turn.stored.turn).collect())
    }
}
