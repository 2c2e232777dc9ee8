//! Reading comments: one, and in their orders.

use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Document, doc},
};
use slipway_mongo::{StorageError, bounded};
use slipway_rpc::page::Page;

use super::documents::{CommentDocument, OutlinesDocument, number, ordinal};
use crate::{
    comment::{
        Comment, CommentId, Placed,
        position::{Ordinal, Stretch},
    },
    store::Outline,
};

type Comments = Collection<CommentDocument>;

pub(super) async fn by_id(
    comments: &Comments,
    id: CommentId,
) -> Result<Option<Placed>, StorageError> {
    // A fence is no comment.
    let wanted = doc! { "_id": id.to_string(), "taskId": { "$exists": true } };
    let found = bounded(comments.find_one(wanted).into_future()).await?;
    found.map(Placed::try_from).transpose()
}

pub(super) async fn by_ids(
    comments: &Comments,
    ids: &[CommentId],
) -> Result<Vec<Comment>, StorageError> {
    let ids: Vec<_> = ids.iter().map(CommentId::to_string).collect();
    let find = comments.find(doc! { "_id": { "$in": &ids } });
    let find = find.batch_size(u32::try_from(ids.len() + 1).unwrap_or(u32::MAX));
    let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
    let found = found
        .into_iter()
        .map(|found| Ok(Placed::try_from(found)?.comment));
    found.collect()
}

/// Which comments are in a stretch.
fn within(stretch: &Stretch) -> Document {
    let (after, before) = (stretch.after.as_str(), stretch.before.as_str());
    doc! { "block": stretch.block.0.to_string(), "key": { "$gt": after, "$lt": before } }
}

/// The first comments of a stretch. They are sorted in their index.
pub(super) fn first_of(stretch: &Stretch, limit: u32) -> [Document; 3] {
    [
        doc! { "$match": within(stretch) },
        doc! { "$sort": { "key": 1 } },
        doc! { "$limit": i64::from(limit) },
    ]
}

pub(super) async fn range(
    comments: &Comments,
    stretch: &Stretch,
    limit: u32,
) -> Result<Vec<Placed>, StorageError> {
    let read = comments
        .aggregate(first_of(stretch, limit))
        .with_type::<CommentDocument>()
        .batch_size(limit + 1);
    let found: Vec<_> = bounded(async { read.await?.try_collect().await }).await?;
    found.into_iter().map(Placed::try_from).collect()
}

/// They come in one document: that takes half as long as a document for each.
pub(super) async fn outline(
    comments: &Comments,
    stretch: &Stretch,
    limit: u32,
) -> Result<Vec<Outline>, StorageError> {
    let all = doc! { "$group": {
        "_id": null,
        "outlines": { "$push": {
            "id": "$_id", "depth": "$depth", "replies": "$replyCount", "key": "$key",
        } },
    } };
    let read = comments
        .aggregate(first_of(stretch, limit).into_iter().chain([all]))
        .with_type::<OutlinesDocument>();
    let found: Option<_> = bounded(async { read.await?.try_next().await }).await?;
    let found = found.map(|all| all.outlines).unwrap_or_default();
    let outlines = found.into_iter().map(|found| found.outline(stretch.block));
    outlines.collect()
}

/// Which replies to a comment are behind `after`.
pub(super) fn replies_behind(parent: CommentId, after: Option<Ordinal>) -> Document {
    let after = after.map_or(0, |after| number(after.0));
    doc! { "parentId": parent.to_string(), "ordinal": { "$gt": after } }
}

/// The order in which [`replies_behind`] is read: that of the index, below one comment.
pub(super) fn by_number() -> Document {
    doc! { "ordinal": 1 }
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
