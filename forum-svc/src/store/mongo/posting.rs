//! Posting: the steps of a reply, and settling those that were not finished.

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use mongodb::{
    bson::{Document, doc},
    options::ReturnDocument,
};
use serde::Deserialize;
use slipway_mongo::{StorageError, bounded, to_bson};
use slipway_store::receipts::mongo::make_room;

use super::{
    MongoStore, RECEIPT,
    documents::{CommentDocument, PendingDocument, fence, ordinal},
};
use crate::{
    comment::{Comment, CommentId, Placed, position::Ordinal},
    store::{Commit, PostError, StoreError},
};

/// Parents whose notes are settled in one go.
const SETTLED_AT_ONCE: i64 = 100;

/// A fence stays until this long after its reply was begun. It has to outlast whatever may
/// still insert that reply. A request gives up within seconds, and so does the server on
/// what it was sent; that a process may have been halted between two steps is why it is a
/// day and not a minute.
const FENCED: SignedDuration = SignedDuration::from_hours(24);

/// The index of the id, as both kinds of server call it.
const ID: &str = "_id_";

/// A comment, as far as giving numbers matters.
#[derive(Debug, Deserialize)]
struct Counting {
    #[serde(rename = "lastReply")]
    last_reply: i64,
}

/// A comment with replies that are noted.
#[derive(Debug, Deserialize)]
struct Noting {
    #[serde(rename = "_id")]
    id: String,
    pending: Vec<PendingDocument>,
}

impl MongoStore {
    pub(super) async fn insert(
        &self,
        document: &CommentDocument,
        commit: &Commit,
    ) -> Result<(), PostError> {
        loop {
            let insert = bounded(self.comments.insert_one(document).into_future());
            let Err(error) = insert.await else {
                return Ok(());
            };
            match (error.duplicate_key(), &commit.receipt) {
                (Some(RECEIPT), Some(receipt)) => {
                    if !make_room(&self.comments, receipt).await? {
                        return Err(PostError::Receipt);
                    }
                }
                _ if error.gave_way() => {}
                _ => return Err(error.into()),
            }
        }
    }

    pub(super) async fn post_reply(
        &self,
        parent: &Placed,
        reply: &Comment,
        commit: &Commit,
    ) -> Result<(), PostError> {
        let number = self.note(parent.comment.id, reply).await?;
        let number = number.ok_or(PostError::ParentDeleted(parent.comment.id))?;
        let document = CommentDocument::reply(reply, parent, number, commit);
        let inserted = self.insert(&document, commit).await;
        let (parent, reply) = (parent.comment.id.to_string(), reply.id.to_string());
        let settled = match &inserted {
            Ok(()) => self.forget(&parent, &reply, 0).await,
            Err(PostError::Receipt | PostError::ParentDeleted(_)) => {
                self.forget(&parent, &reply, -1).await
            }
            // Perhaps it is there and perhaps not: that is found out later.
            Err(PostError::Store(_)) => Ok(()),
        };
        if let Err(error) = settled {
            tracing::info!(%error, reply, "a note on a reply stays for later");
        }
        inserted
    }

    /// Step 1: the reply's number, or `None` if the parent is deleted.
    pub(super) async fn note(
        &self,
        parent: CommentId,
        reply: &Comment,
    ) -> Result<Option<Ordinal>, StoreError> {
        let guard = doc! { "_id": parent.to_string(), "deletedAt": null };
        let note = doc! { "id": reply.id.to_string(), "at": to_bson(reply.created_at) };
        let change = doc! {
            "$inc": { "replyCount": 1_i64, "lastReply": 1_i64 },
            "$push": { "pending": note },
        };
        let comments = self.comments.clone_with_type::<Counting>();
        loop {
            let update = comments
                .find_one_and_update(guard.clone(), change.clone())
                .projection(doc! { "lastReply": 1 })
                .return_document(ReturnDocument::After);
            match bounded(update.into_future()).await {
                Ok(found) => return Ok(found.map(|parent| ordinal(parent.last_reply))),
                Err(error) if error.gave_way() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Step 3: the note goes, and the count changes along with it: once, whoever comes
    /// first.
    async fn forget(&self, parent: &str, reply: &str, change: i64) -> Result<(), StorageError> {
        let guard = doc! { "_id": parent, "pending.id": reply };
        let mut update = doc! { "$pull": { "pending": { "id": reply } } };
        if change != 0 {
            update.insert("$inc", doc! { "replyCount": change });
        }
        loop {
            let forget = self.comments.update_one(guard.clone(), update.clone());
            match bounded(forget.into_future()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.gave_way() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Settles the notes from before `before`, and removes the fences that have outlived
    /// what they keep out; how many notes there were.
    pub(super) async fn settle_pending(&self, before: Timestamp) -> Result<u64, StorageError> {
        let comments = self.comments.clone_with_type::<Noting>();
        let find = comments
            .find(unsettled(before))
            .projection(doc! { "pending": 1 })
            .limit(SETTLED_AT_ONCE);
        let parents: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        self.remove_fences(before).await?;
        let mut settled = 0;
        for parent in parents {
            let old = |note: &&PendingDocument| note.at < to_bson(before);
            for note in parent.pending.iter().filter(old) {
                let change = if self.was_posted(note).await? { 0 } else { -1 };
                self.forget(&parent.id, &note.id, change).await?;
                settled += 1;
            }
        }
        Ok(settled)
    }

    async fn remove_fences(&self, before: Timestamp) -> Result<(), StorageError> {
        let remove = self.comments.delete_many(fences(before - FENCED));
        bounded(remove.into_future()).await?;
        Ok(())
    }

    /// Whether a reply is there. If not, from now on it cannot come any more.
    async fn was_posted(&self, note: &PendingDocument) -> Result<bool, StorageError> {
        let documents = self.comments.clone_with_type::<Document>();
        let insert = bounded(documents.insert_one(fence(&note.id, note.at)).into_future());
        match insert.await {
            Ok(_) => return Ok(false),
            Err(error) if error.duplicate_key() == Some(ID) => {}
            Err(error) => return Err(error),
        }
        // It is there, or a fence that was put up before.
        let posted = doc! { "_id": &note.id, "taskId": { "$exists": true } };
        let find = documents.find_one(posted).projection(doc! { "_id": 1 });
        Ok(bounded(find.into_future()).await?.is_some())
    }
}

/// Which comments have notes from before `before`.
pub(super) fn unsettled(before: Timestamp) -> Document {
    doc! { "pending.at": { "$exists": true, "$lt": to_bson(before) } }
}

/// The fences against replies that were begun before `before`.
pub(super) fn fences(before: Timestamp) -> Document {
    doc! { "fenceBegun": { "$exists": true, "$lt": to_bson(before) } }
}
