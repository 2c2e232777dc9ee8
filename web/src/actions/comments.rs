//! Comments and replies.

use axum::{extract::Path, response::Response};
use slipway_proto::forum::v1::{
    Comment, DeleteCommentRequest, EditCommentRequest, PostCommentRequest, PostReplyRequest,
};
use slipway_rpc::error::Fault;

use super::Sent;

pub(super) async fn post(Path(task_id): Path<String>, sent: Sent) -> Response {
    let content = sent.fields.get("content").to_owned();
    let request = sent.request(PostCommentRequest { task_id, content });
    let answer = sent.services().forum.clone().post_comment(request).await;
    let comment = answer.map(|answer| answer.into_inner().comment);
    let outcome = comment
        .map(|comment| at(&sent, comment))
        .map_err(Fault::from);
    sent.end(outcome).await
}

pub(super) async fn reply(Path(comment_id): Path<String>, sent: Sent) -> Response {
    let content = sent.fields.get("content").to_owned();
    let request = sent.request(PostReplyRequest {
        comment_id,
        content,
    });
    let answer = sent.services().forum.clone().post_reply(request).await;
    let comment = answer.map(|answer| answer.into_inner().comment);
    let outcome = comment
        .map(|comment| at(&sent, comment))
        .map_err(Fault::from);
    sent.end(outcome).await
}

pub(super) async fn edit(Path(id): Path<String>, sent: Sent) -> Response {
    let request = sent.request(EditCommentRequest {
        id,
        content: sent.fields.get("content").to_owned(),
        revision: sent.revision(),
    });
    let answer = sent.services().forum.clone().edit_comment(request).await;
    let comment = answer.map(|answer| answer.into_inner().comment);
    let outcome = comment
        .map(|comment| at(&sent, comment))
        .map_err(Fault::from);
    sent.end(outcome).await
}

pub(super) async fn delete(Path(id): Path<String>, sent: Sent) -> Response {
    let part = format!("comment-{id}");
    let request = sent.request(DeleteCommentRequest { id, revision: 0 });
    let answer = sent.services().forum.clone().delete_comment(request).await;
    let outcome = answer.map(|_| sent.back_to(&part)).map_err(Fault::from);
    sent.end(outcome).await
}

/// The address of a comment on the page that sent the form.
fn at(sent: &Sent, comment: Option<Comment>) -> String {
    let id = comment.map(|comment| comment.id).unwrap_or_default();
    sent.back_to(&format!("comment-{id}"))
}
