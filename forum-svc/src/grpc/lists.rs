//! The list methods of the gRPC service, and their cursors.

use serde::{Deserialize, Serialize};
use slipway_proto::forum::v1::{
    ListCommentsRequest, ListCommentsResponse, ListRepliesRequest, ListRepliesResponse,
};
use slipway_rpc::{error::Fault, grpc::Outbound, page};

use super::{id, translate};
use crate::{
    comment::{CommentId, PlacedComment, TaskId, position::Ordinal},
    forum::Forum,
    reading::{PageOf, Scope, Threads as _},
};

/// The start of a page of a discussion. Comments never move, so their ids are enough.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Cursor {
    /// List only the replies to this comment, at any depth.
    below: Option<CommentId>,
    /// Start after this comment.
    after: Option<CommentId>,
}

/// A page of a task's threads.
pub(super) async fn comments(
    forum: &Forum,
    request: ListCommentsRequest,
    asker: &Outbound,
) -> Result<ListCommentsResponse, Fault> {
    let task: TaskId = id("task_id", &request.task_id)?;
    let levels = (request.max_levels > 0).then_some(request.max_levels);
    let list = format!("comments?{task}&{levels:?}");
    let cursor: Option<Cursor> = page::decode_cursor(&list, &request.page_token)?;
    forum.has_task(task, asker).await?;
    let below = cursor.and_then(|cursor| cursor.below);
    let page = PageOf {
        scope: match below {
            None => Scope::Task(task),
            Some(below) => Scope::Below((&issued(forum, task, below).await?).into()),
        },
        after: match cursor.and_then(|cursor| cursor.after) {
            None => None,
            Some(after) => Some(issued(forum, task, after).await?),
        },
        limit: page::limit(request.page_size, page::MAX_LIMIT)?,
        levels,
    };
    if !page.can_be(forum.comments()).await? {
        return Err(not_issued());
    }
    let listing = page.read(forum.comments()).await?;
    let token = |below, after| page::encode_cursor(&list, Some(&Cursor { below, after }));
    let last = listing.comments.last().filter(|_| listing.more);
    Ok(ListCommentsResponse {
        next_page_token: last
            .map(|last| token(below, Some(last.comment.id)))
            .unwrap_or_default(),
        comments: listing
            .comments
            .iter()
            .map(|listed| {
                let more = listed.cut.then(|| token(Some(listed.comment.id), None));
                translate::listed(listed, more.unwrap_or_default())
            })
            .collect(),
    })
}

/// The comment that a cursor names. It exists if this service has issued the cursor.
async fn issued(forum: &Forum, task: TaskId, id: CommentId) -> Result<PlacedComment, Fault> {
    let found = forum.comments().comment(id).await?;
    let found = found.filter(|placed| placed.comment.task == task);
    found.ok_or_else(not_issued)
}

fn not_issued() -> Fault {
    Fault::invalid_field("page_token", "was not issued by this list")
}

/// A page of the direct replies to one comment.
pub(super) async fn replies(
    forum: &Forum,
    request: ListRepliesRequest,
    asker: &Outbound,
) -> Result<ListRepliesResponse, Fault> {
    let parent: CommentId = id("comment_id", &request.comment_id)?;
    let list = format!("replies?{parent}");
    let after: Option<Ordinal> = page::decode_cursor(&list, &request.page_token)?;
    if after.is_some_and(|after| after > Ordinal::MAX) {
        return Err(not_issued());
    }
    let limit = page::limit(request.page_size, page::MAX_LIMIT)?;
    let found = forum.comments().replies(parent, after, limit).await?;
    let task = match found.items.first() {
        Some(reply) => reply.task,
        None => forum.comment(parent).await?.comment.task,
    };
    forum.has_task(task, asker).await?;
    Ok(ListRepliesResponse {
        comments: found
            .items
            .iter()
            .map(|reply| translate::comment(reply, None))
            .collect(),
        next_page_token: page::encode_cursor(&list, found.next.as_ref()),
    })
}
