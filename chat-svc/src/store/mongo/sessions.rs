//! Sessions in MongoDB: how they are made, renamed and deleted.

use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use serde::Deserialize;
use slipway_mesh::store::mongo::{StorageError, bounded, to_bson};

use super::{
    BY_REQUEST, MongoChatStore,
    documents::{Made, SessionDocument},
};
use crate::{
    chat::{Session, SessionId, Title, UserId},
    request_key::RequestKey,
    store::{CreateError, REQUEST_KEY_TTL, RenameError},
};

/// When the turns of a deleted session are erased once more. The field is there until
/// that is done.
pub(super) const UNFINISHED: &str = "eraseAgainAt";

/// How long a question that began before a deletion may take to copy a turn: longer than
/// any operation.
const LATE: Duration = Duration::from_secs(30);

/// What every session that is not deleted has.
pub(super) fn alive() -> Document {
    doc! { "deletedAt": { "$exists": false } }
}

/// Which sessions are on an owner's list behind `after`.
pub(super) fn listed(owner: UserId, after: Option<SessionId>) -> Document {
    let mut condition = doc! { "owner": owner.to_string() };
    if let Some(after) = after {
        condition.insert("_id", doc! { "$lt": after.to_string() });
    }
    condition.extend(alive());
    condition
}

/// Which session a request made.
pub(super) fn created_by(request: &RequestKey) -> Document {
    // That it exists is said too: the index holds only the documents where it does.
    doc! { "requestKey": { "$eq": &request.key, "$exists": true } }
}

/// The deleted sessions whose turns are to be erased once more.
pub(super) fn unfinished(now: Timestamp) -> Document {
    doc! { UNFINISHED: { "$lte": to_bson(now), "$exists": true } }
}

#[derive(Debug, Deserialize)]
struct Deleted {
    #[serde(rename = "_id")]
    id: String,
}

impl MongoChatStore {
    pub(super) async fn create_session(
        &self,
        session: Session,
        request: Option<RequestKey>,
    ) -> Result<Session, CreateError> {
        let document = SessionDocument::new(&session, request.as_ref());
        loop {
            let insert = bounded(self.sessions.insert_one(&document).into_future());
            let Err(error) = insert.await else {
                return Ok(session);
            };
            match (&request, error.duplicate_key()) {
                (Some(request), Some(BY_REQUEST)) => {
                    if let Some(earlier) = self.made_by(request, &session).await? {
                        return Ok(earlier);
                    }
                }
                _ if error.gave_way() => {}
                _ => return Err(error.into()),
            }
        }
    }

    /// The session that a request made before; `None` if its key has expired, which then
    /// makes room for another.
    async fn made_by(
        &self,
        request: &RequestKey,
        again: &Session,
    ) -> Result<Option<Session>, CreateError> {
        let since = to_bson(again.created_at - REQUEST_KEY_TTL);
        let expired = doc! { "requestKey": &request.key, "createdAt": { "$lte": since } };
        self.update(expired, doc! { "$unset": { "requestKey": "" } })
            .await?;
        let made = self.sessions.clone_with_type::<Made>();
        let find = made
            .find_one(created_by(request))
            .projection(doc! { "createdAt": 1, "requestFingerprint": 1 });
        match bounded(find.into_future()).await? {
            None => Ok(None),
            Some(made) if made.is_of(request) => Ok(Some(made.first(again)?)),
            Some(_) => Err(CreateError::KeyReused),
        }
    }

    /// Reads, decides, and writes if nobody else was faster.
    pub(super) async fn rename_session(
        &self,
        id: SessionId,
        owner: UserId,
        title: Title,
        expected: Option<u64>,
    ) -> Result<Session, RenameError> {
        let own = doc! { "_id": id.to_string(), "owner": owner.to_string() };
        loop {
            let Some(document) = self.load(own.clone()).await? else {
                return Err(RenameError::NotFound);
            };
            let seen = doc! { "_id": &document.id, "revision": document.revision };
            let session = Session::try_from(document)?;
            if expected.is_some_and(|expected| expected != session.revision) {
                return Err(RenameError::Changed(session.revision));
            }
            let change = doc! { "$set": { "title": title.as_str() }, "$inc": { "revision": 1 } };
            if self.update(seen, change).await? {
                return Ok(Session {
                    title,
                    revision: session.revision + 1,
                    ..session
                });
            }
        }
    }

    /// Without `turns`, `turn` and `revision` every other change of the session, whose
    /// guards name one of them, comes too late.
    pub(super) async fn delete_session(
        &self,
        id: SessionId,
        owner: UserId,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let id = id.to_string();
        let later = now.checked_add(LATE).unwrap_or(Timestamp::MAX);
        let change = doc! {
            "$set": { "deletedAt": to_bson(now), UNFINISHED: to_bson(later) },
            "$unset": { "title": "", "lastMessageAt": "", "revision": "", "turns": "", "turn": "" },
        };
        let own = doc! { "_id": &id, "owner": owner.to_string() };
        let deleted = self.update(own, change).await?;
        if deleted {
            self.erase_turns(&id).await?;
        }
        Ok(deleted)
    }

    pub(super) async fn erase_left(&self, now: Timestamp, limit: u32) -> Result<u64, StorageError> {
        let sessions = self.sessions.clone_with_type::<Deleted>();
        let find = sessions
            .find(unfinished(now))
            .sort(doc! { UNFINISHED: 1 })
            .limit(i64::from(limit))
            .projection(doc! { "_id": 1 });
        let found: Vec<Deleted> = bounded(async { find.await?.try_collect().await }).await?;
        for Deleted { id } in &found {
            self.erase_turns(id).await?;
            // Deleted again meanwhile: then this is done once more.
            let mut guard = unfinished(now);
            guard.insert("_id", id);
            self.update(guard, doc! { "$unset": { UNFINISHED: "" } })
                .await?;
        }
        Ok(found.len() as u64)
    }

    async fn erase_turns(&self, session: &str) -> Result<(), StorageError> {
        loop {
            let delete = self.turns.delete_many(doc! { "session": session });
            match bounded(delete.into_future()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.gave_way() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use slipway_mesh::store::mongo::testing::Scratch;

    use super::*;
    use crate::{
        chat::FIRST_REVISION,
        store::{
            Stores,
            mongo::{SESSIONS, TURNS},
        },
    };

    #[tokio::test]
    async fn a_turn_that_was_copied_during_the_deletion_is_erased_by_the_sweep() {
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let stores = Stores::mongo(scratch.client(), scratch.name())
            .await
            .unwrap();
        let database = scratch.client().database(scratch.name());
        let turns = database.collection::<Document>(TURNS);
        let (owner, now) = (UserId::generate(), Timestamp::UNIX_EPOCH);
        let session = Session {
            id: SessionId::generate(),
            owner,
            title: Title::new("t").unwrap(),
            created_at: now,
            last_message_at: None,
            revision: FIRST_REVISION,
        };
        let id = session.id.to_string();
        let deleted = stores.chat.create(session.clone(), None).await.unwrap();
        assert!(stores.chat.delete(deleted.id, owner, now).await.unwrap());
        let late = doc! { "_id": format!("{id}/1"), "session": &id, "number": 1 };
        turns.insert_one(late).await.unwrap();
        assert_eq!(stores.chat.finish_deletions(now, 10).await.unwrap(), 0);
        let then = now + LATE;
        assert_eq!(stores.chat.finish_deletions(then, 10).await.unwrap(), 1);
        assert_eq!(turns.count_documents(doc! {}).await.unwrap(), 0);
        assert_eq!(stores.chat.finish_deletions(then, 10).await.unwrap(), 0);
        // What is kept says nothing of the conversation.
        let kept = database.collection::<Document>(SESSIONS);
        let kept = kept.find_one(doc! { "_id": id }).await.unwrap().unwrap();
        let fields: BTreeSet<_> = kept.keys().map(String::as_str).collect();
        let expected = ["_id", "schema", "owner", "createdAt", "deletedAt"];
        assert_eq!(fields, expected.into());
    }
}
