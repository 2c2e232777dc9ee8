//! Translates domain types to proto messages.

use slipway_proto::{common::v1::UserRef, forum::v1 as proto, time::to_proto as time};

use crate::{
    comment::{Body, Comment},
    reading::Listed,
};

/// A comment, with its number of replies at any depth, if they were counted.
pub(super) fn comment(comment: &Comment, descendants: Option<u32>) -> proto::Comment {
    let (author, content) = match &comment.body {
        Body::Content(content) => (
            Some(UserRef {
                id: comment.author.id.to_string(),
                username: comment.author.username.clone(),
            }),
            content.as_str().to_owned(),
        ),
        Body::Deleted { .. } => (None, String::new()),
    };
    proto::Comment {
        id: comment.id.to_string(),
        task_id: comment.task.to_string(),
        parent_id: comment
            .parent
            .map(|parent| parent.to_string())
            .unwrap_or_default(),
        root_id: comment.root.to_string(),
        depth: comment.depth,
        author,
        content,
        deleted: comment.is_deleted(),
        reply_count: comment.reply_count,
        descendant_count: descendants,
        created_at: Some(time(comment.created_at)),
        edited_at: comment.edited_at.map(time),
        revision: comment.revision.0,
        more_replies_token: String::new(),
    }
}

/// A comment on a page; `more` is the page token for the replies that are left out.
pub(super) fn listed(listed: &Listed, more: String) -> proto::Comment {
    proto::Comment {
        more_replies_token: more,
        ..comment(&listed.comment, Some(listed.descendants))
    }
}
