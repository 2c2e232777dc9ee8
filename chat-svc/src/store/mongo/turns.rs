//! Turns in MongoDB: the newest in its session, those before it in their own collection.

use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::bson::{Document, doc, serialize_to_bson};
use serde::Deserialize;
use slipway_mesh::{
    bus::Event,
    outbox::mongo::{Entry, FIELD as OUTBOX},
    store::mongo::{StorageError, bounded, malformed, to_bson},
};
use uuid::Uuid;

use super::{
    MongoChatStore,
    documents::{AnswerDocument, ArchivedTurn, LeaseDocument, SessionDocument, TurnDocument},
};
use crate::{
    chat::{Reason, SessionId, Turn},
    request_key::RequestKey,
    store::{Asking, BeginError, Begun, REQUEST_KEY_TTL, Settled},
};

/// The session whose open question is under this lease.
pub(super) fn held_by(session: SessionId, holder: Uuid) -> Document {
    doc! { "_id": session.to_string(), "turn.lease.holder": holder.to_string() }
}

/// Settles the open question, with the event of it.
pub(super) fn settlement(state: &Settled, event: Option<&Event>) -> Result<Document, StorageError> {
    let set = match state {
        Settled::Unanswered(reason) => {
            doc! { "turn.state": "UNANSWERED", "turn.reason": reason.name() }
        }
        Settled::Answered(answer) => doc! {
            "turn.state": "ANSWERED",
            "turn.answer": serialize_to_bson(&AnswerDocument::from(&**answer)).map_err(malformed)?,
            "lastMessageAt": to_bson(answer.answered_at),
        },
    };
    let mut change = doc! { "$set": set, "$unset": { "turn.lease": "" } };
    if let Some(event) = event {
        let entry = serialize_to_bson(&Entry::from(event)).map_err(malformed)?;
        change.insert("$push", doc! { OUTBOX: entry });
    }
    Ok(change)
}

/// A session with an open question, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Open {
    #[serde(rename = "_id")]
    id: String,
    turn: OpenTurn,
}

#[derive(Debug, Deserialize)]
struct OpenTurn {
    lease: LeaseDocument,
}

/// The sessions whose leases have run out.
pub(super) fn expired(now: Timestamp) -> Document {
    // That it exists is said too: the index holds only the documents where it does.
    doc! { "turn.lease.until": { "$lte": to_bson(now), "$exists": true } }
}

/// A session's turns in the collection, with greater numbers than `after`.
pub(super) fn behind(session: SessionId, after: u64) -> Document {
    doc! { "session": session.to_string(), "number": { "$gt": number(after) } }
}

/// A session's answered turns in the collection, with smaller numbers than `before`.
pub(super) fn answered(session: SessionId, before: u64) -> Document {
    doc! {
        "session": session.to_string(),
        "state": "ANSWERED",
        "number": { "$lt": number(before) },
    }
}

/// A session's turn of this request.
pub(super) fn of_request(session: &str, request: &RequestKey) -> Document {
    doc! { "session": session, "requestKey": &request.key }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl MongoChatStore {
    /// Reads the session, decides, and writes if it still has as many turns: a turn that
    /// is settled does not change, so that nothing else can have happened.
    pub(super) async fn begin_turn(&self, asking: Asking) -> Result<Begun, BeginError> {
        let now = asking.question.asked_at;
        let own = doc! { "_id": asking.session.to_string(), "owner": asking.owner.to_string() };
        loop {
            let Some(session) = self.load(own.clone()).await? else {
                return Err(BeginError::NotFound);
            };
            if let Some(request) = &asking.request
                && let Some(turn) = self.earlier_in(&session, request, now).await?
            {
                return Ok(Begun::Earlier(Box::new(turn)));
            }
            if let Some(turn) = &session.turn {
                match &turn.lease {
                    Some(lease) if lease.until > to_bson(now) => return Err(BeginError::Busy),
                    Some(lease) => {
                        self.interrupt(&session.id, lease, now).await?;
                        continue;
                    }
                    None => self.archive(&session.id, turn.clone()).await?,
                }
            }
            let next = TurnDocument::asked(session.turns + 1, &asking);
            let seen = doc! { "_id": &session.id, "turns": session.turns };
            let change = doc! { "$set": {
                "turn": serialize_to_bson(&next).map_err(|error| BeginError::from(malformed(error)))?,
                "turns": next.number,
                "lastMessageAt": next.asked_at,
            } };
            if self.update(seen, change).await? {
                return Ok(Begun::New(next.number.unsigned_abs()));
            }
        }
    }

    /// The turn in which a request was answered: the newest, or one of the others.
    pub(super) async fn earlier_in(
        &self,
        session: &SessionDocument,
        request: &RequestKey,
        now: Timestamp,
    ) -> Result<Option<Turn>, BeginError> {
        let of_request = |turn: &&TurnDocument| turn.request_key.as_ref() == Some(&request.key);
        let newest = session.turn.as_ref().filter(of_request).cloned();
        let find = self
            .turns
            .find_one(self::of_request(&session.id, request))
            .sort(doc! { "number": -1 });
        let found = match newest {
            Some(turn) => Some(turn),
            None => bounded(find.into_future()).await?.map(|found| found.turn),
        };
        let counts = |turn: &TurnDocument| {
            let expired = |lease: &LeaseDocument| lease.until <= to_bson(now);
            turn.asked_at > to_bson(now - REQUEST_KEY_TTL)
                && turn.state != "UNANSWERED"
                // One whose lease has run out is as good as unanswered.
                && !turn.lease.as_ref().is_some_and(expired)
        };
        match found.filter(counts) {
            None => Ok(None),
            Some(turn) if turn.request_fingerprint.as_ref() != Some(&request.fingerprint) => {
                Err(BeginError::KeyReused)
            }
            Some(turn) if !turn.is_settled() => Err(BeginError::Busy),
            Some(turn) => Ok(Some(turn.try_into()?)),
        }
    }

    async fn archive(&self, session: &str, turn: TurnDocument) -> Result<(), StorageError> {
        let archived = ArchivedTurn::new(session, turn);
        loop {
            match bounded(self.turns.insert_one(&archived).into_future()).await {
                Ok(_) => return Ok(()),
                // It is there: a settled turn does not change, so it is the same.
                Err(error) if error.duplicate_key().is_some() => return Ok(()),
                Err(error) if error.gave_way() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Settles a question as interrupted, if its lease is this one and has run out.
    async fn interrupt(
        &self,
        session: &str,
        lease: &LeaseDocument,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut guard = doc! { "_id": session, "turn.lease.holder": &lease.holder };
        guard.extend(expired(now));
        let change = settlement(&Settled::Unanswered(Reason::Interrupted), None)?;
        self.update(guard, change).await
    }

    pub(super) async fn interrupt_expired(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, StorageError> {
        let sessions = self.sessions.clone_with_type::<Open>();
        let find = sessions
            .find(expired(now))
            .sort(doc! { "turn.lease.until": 1 })
            .limit(i64::from(limit))
            .projection(doc! { "turn.lease": 1 });
        let found: Vec<Open> = bounded(async { find.await?.try_collect().await }).await?;
        let mut settled = 0;
        for open in found {
            let interrupted = self.interrupt(&open.id, &open.turn.lease, now).await?;
            settled += u64::from(interrupted);
        }
        Ok(settled)
    }

    /// The session is read first: whatever is begun meanwhile, the turns before its newest
    /// are in the collection by then.
    pub(super) async fn turns_behind(
        &self,
        session: SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Turn>, StorageError> {
        let newest = self.load(doc! { "_id": session.to_string() }).await?;
        let newest = newest.and_then(|session| session.turn);
        let find = self
            .turns
            .find(behind(session, after))
            .sort(doc! { "number": 1 })
            .limit(i64::from(limit));
        let found: Vec<ArchivedTurn> = bounded(async { find.await?.try_collect().await }).await?;
        let mut turns: Vec<_> = found.into_iter().map(|found| found.turn).collect();
        let last = turns.last().map_or(number(after), |turn| turn.number);
        turns.extend(newest.filter(|newest| newest.number > last));
        turns.truncate(limit as usize);
        turns.into_iter().map(Turn::try_from).collect()
    }

    pub(super) async fn newest_answered(
        &self,
        session: SessionId,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Turn>, StorageError> {
        let newest = self.load(doc! { "_id": session.to_string() }).await?;
        let newest = newest.and_then(|session| session.turn);
        let wanted = |turn: &TurnDocument| turn.state == "ANSWERED" && turn.number < number(before);
        let find = self
            .turns
            .find(answered(session, before))
            .sort(doc! { "number": -1 })
            .limit(i64::from(limit));
        let found: Vec<ArchivedTurn> = bounded(async { find.await?.try_collect().await }).await?;
        let mut turns: Vec<_> = newest.filter(wanted).into_iter().collect();
        let oldest = turns.first().map_or(i64::MAX, |turn| turn.number);
        let earlier = found.into_iter().map(|found| found.turn);
        turns.extend(earlier.filter(|turn| turn.number < oldest));
        turns.truncate(limit as usize);
        turns.reverse();
        turns.into_iter().map(Turn::try_from).collect()
    }
}
