//! The stores in one MongoDB database: a document for each comment, which holds the event
//! and the receipt that are committed with it.
//!
//! A reply changes two documents: its own, and that of its parent, which counts it. There
//! are no transactions, so it goes in steps that can be settled after a crash:
//!
//! 1. The parent, unless it is deleted, counts the reply, gives it its number and notes
//!    its id in `pending`: one write.
//! 2. The reply is inserted with its event: it is posted.
//! 3. The parent forgets the note.
//!
//! A note that is still there after a while is settled (`settle`): if the reply is there
//! only the note goes; if not, a fence is put in its place, so that it cannot come late,
//! and it is counted no more. A fence is a document with the reply's id that nothing
//! leads to; a day after the reply was begun it is removed.

mod documents;
mod order;
#[cfg(test)]
mod plans;
mod posting;
#[cfg(test)]
mod settling;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::{Collection, bson::doc};
use slipway_mongo::{Client, Database, Index, StorageError, bounded};
use slipway_rpc::page::Page;
use slipway_store::{
    outbox::mongo::{MongoOutbox, index as outbox_index},
    receipts::{mongo as receipts, mongo::MongoReceipts},
};

use self::documents::{CommentDocument, changed};
use super::{CommentStore, Commit, Outline, PostError, StoreError, Stores};
use crate::comment::{
    Comment, CommentId, Placed,
    position::{Ordinal, Stretch},
};

/// The database of this service.
pub const DATABASE: &str = "slipway_forum";

const COMMENTS: &str = "comments";

/// The index that refuses a second receipt.
const RECEIPT: &str = "receipt";

const INDEXES: &[Index] = &[
    Index::on(COMMENTS, "in_order", &[("block", 1), ("key", 1)]).unique(),
    Index::on(COMMENTS, "by_parent", &[("parentId", 1), ("ordinal", 1)]),
    Index::on(COMMENTS, "pending", &[("pending.at", 1)]).having("pending.at"),
    Index::on(COMMENTS, "fences", &[("fenceBegun", 1)]).having("fenceBegun"),
    receipts::index(COMMENTS, RECEIPT),
    receipts::time_index(COMMENTS),
    outbox_index(COMMENTS),
    // Events are published task by task.
    Index::on(COMMENTS, "outbox_by_task", &[("taskId", 1)]).having("outbox.id"),
];

/// One database, all stores. It keeps nothing in the process.
struct MongoStore {
    comments: Collection<CommentDocument>,
}

impl Stores {
    /// The stores in the MongoDB database `name`, usually [`DATABASE`]; its indexes are
    /// built if they are not there.
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub async fn mongo(client: &Client, name: &str) -> Result<Self, StorageError> {
        let database = Database::open(client, name, INDEXES).await?;
        let comments = database.collection(COMMENTS);
        Ok(Self {
            comments: Arc::new(MongoStore { comments }),
            receipts: Arc::new(MongoReceipts::new(database.clone(), &[COMMENTS])),
            outbox: Arc::new(MongoOutbox::by(database.clone(), &[COMMENTS], "taskId")),
            check: Arc::new(database),
        })
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        Self(error.to_string())
    }
}

impl From<StorageError> for PostError {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

#[async_trait]
impl CommentStore for MongoStore {
    async fn begin(&self, comment: Comment, commit: Commit) -> Result<(), PostError> {
        self.insert(&CommentDocument::root(&comment, &commit), &commit)
            .await
    }

    async fn reply(&self, parent: Placed, reply: Comment, commit: Commit) -> Result<(), PostError> {
        self.post_reply(&parent, &reply, &commit).await
    }

    async fn change(&self, before: Comment, after: Comment) -> Result<bool, StoreError> {
        let guard = doc! {
            "_id": before.id.to_string(),
            "revision": documents::number(before.revision.0),
        };
        loop {
            let update = self.comments.update_one(guard.clone(), changed(&after));
            match bounded(update.into_future()).await {
                Ok(result) => return Ok(result.matched_count == 1),
                Err(error) if error.gave_way() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn comment(&self, id: CommentId) -> Result<Option<Placed>, StoreError> {
        Ok(order::by_id(&self.comments, id).await?)
    }

    async fn range(&self, stretch: Stretch, limit: u32) -> Result<Vec<Placed>, StoreError> {
        Ok(order::range(&self.comments, &stretch, limit).await?)
    }

    async fn outline(&self, stretch: Stretch, limit: u32) -> Result<Vec<Outline>, StoreError> {
        Ok(order::outline(&self.comments, &stretch, limit).await?)
    }

    async fn comments(&self, ids: Vec<CommentId>) -> Result<Vec<Comment>, StoreError> {
        Ok(order::by_ids(&self.comments, &ids).await?)
    }

    async fn replies(
        &self,
        parent: CommentId,
        after: Option<Ordinal>,
        limit: u32,
    ) -> Result<Page<Comment, Ordinal>, StoreError> {
        Ok(order::replies(&self.comments, parent, after, limit).await?)
    }

    async fn settle(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.settle_pending(before).await?)
    }
}

#[cfg(test)]
mod tests {
    use slipway_mongo::testing::Scratch;

    use super::*;
    use crate::store::contract;

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let stores = Stores::mongo(scratch.client(), scratch.name())
            .await
            .unwrap();
        let comments = scratch.client().database(scratch.name());
        let comments = comments.collection(COMMENTS);
        let plant = async move |planted: Vec<contract::Planted>| {
            for some in planted.chunks(1_000) {
                let documents = some.iter().map(CommentDocument::planted);
                comments.insert_many(documents).await.unwrap();
            }
        };
        // They keep nothing in the process: a clone is as good as another replica's.
        (scratch, move || stores.clone(), plant)
    });
}
