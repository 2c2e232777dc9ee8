//! Reading comments: one, and in their orders.

use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Document, doc},
};
use slipway_mesh::{
    page::Page,
    store::mongo::{StorageError, bounded},
};

use super::documents::{CommentDocument, OutlineDocument, number, ordinal};
use crate::{
    comment::{
        Block, Comment, CommentId, Placed,
        position::{Key, Ordinal},
    },
    store::Outline,
};

type Comments = Collection<CommentDocument>;

/// What is no part of a comment.
fn without_committed() -> Document {
    doc! { "outbox": 0, "receipts": 0, "pending": 0 }
}

pub(super) async fn by_id(
    comments: &Comments,
    id: CommentId,
) -> Result<Option<Placed>, StorageError> {
    // A fence is no comment.
    let wanted = doc! { "_id": id.to_string(), "taskId": { "$exists": true } };
    let find = comments.find_one(wanted).projection(without_committed());
    let found = bounded(find.into_future()).await?;
    found.map(Placed::try_from).transpose()
}

/// Which comments of a block are behind `after`.
pub(super) fn behind(block: Block, after: &Key) -> Document {
    doc! { "block": block.0.to_string(), "key": { "$gt": after.as_str() } }
}

/// The order in which [`behind`] is read: that of the index.
pub(super) fn in_order() -> Document {
    doc! { "block": 1, "key": 1 }
}

pub(super) async fn range(
    comments: &Comments,
    block: Block,
    after: &Key,
    limit: u32,
) -> Result<Vec<Placed>, StorageError> {
    let find = comments
        .find(behind(block, after))
        .sort(in_order())
        .projection(without_committed())
        .limit(limit.into())
        .batch_size(limit + 1);
    let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
    found.into_iter().map(Placed::try_from).collect()
}

pub(super) async fn outline(
    comments: &Comments,
    block: Block,
    after: &Key,
    limit: u32,
) -> Result<Vec<Outline>, StorageError> {
    let comments = comments.clone_with_type::<OutlineDocument>();
    let find = comments
        .find(behind(block, after))
        .sort(in_order())
        .projection(doc! { "depth": 1, "key": 1 })
        .limit(limit.into())
        .batch_size(limit + 1);
    let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
    found.into_iter().map(Outline::try_from).collect()
}

/// Which replies to a comment are behind `after`.
pub(super) fn replies_behind(parent: CommentId, after: Option<Ordinal>) -> Document {
    let after = after.map_or(0, |after| number(after.0));
    doc! { "parentId": parent.to_string(), "ordinal": { "$gt": after } }
}

/// The order in which [`replies_behind`] is read: that of the index.
pub(super) fn by_number() -> Document {
    doc! { "parentId": 1, "ordinal": 1 }
}

pub(super) async fn replies(
    comments: &Comments,
    parent: CommentId,
    after: Option<Ordinal>,
    limit: u32,
) -> Result<Page<Comment, Ordinal>, StorageError> {
    let find = comments
        .find(replies_behind(parent, after))
        .sort(by_number())
        .projection(without_committed())
        .limit(i64::from(limit) + 1)
        .batch_size(limit + 2);
    let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
    let page = Page::from_overfetch(found, limit, |last| ordinal(last.ordinal));
    Ok(Page {
        items: page
            .items
            .into_iter()
            .map(|document| Ok(Placed::try_from(document)?.comment))
            .collect::<Result<_, StorageError>>()?,
        next: page.next,
    })
}
