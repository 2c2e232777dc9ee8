//! Comments and replies.

use axum::response::Response;
use slipway_proto::forum::v1::{
    Comment, DeleteCommentRequest, EditCommentRequest, PostCommentRequest, PostReplyRequest,
};
use slipway_rpc::error::Fault;

use super::{Id, Sent};

pub(super) async fn post(Id(task_id): Id, sent: Sent) -> Response {
    let content = sent.fields.get("content").to_owned();
    let request = sent.request(PostCommentRequest { task_id, content });
    let answer = sent.services().forum.clone().post_comment(request).await;
    let comment = answer.map(|answer| answer.into_inner().comment);
    let outcome = comment
        .map(|comment| at(&sent, comment))
        .map_err(Fault::from);
    sent.end(outcome).await
}

pub(super) async fn reply(Id(comment_id): Id, sent: Sent) -> Response {
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

pub(super) async fn edit(Id(id): Id, sent: Sent) -> Response {
    let outcome = async {
        let request = sent.request(EditCommentRequest {
            id,
            content: sent.fields.get("content").to_owned(),
            revision: sent.revision()?,
        });
        let answer = sent.services().forum.clone().edit_comment(request).await?;
        Ok(at(&sent, answer.into_inner().comment))
    };
    let outcome = outcome.await;
    sent.end(outcome).await
}

pub(super) async fn delete(Id(id): Id, sent: Sent) -> Response {
    let part = format!("comment-{id}");
    let outcome = async {
        let revision = sent.revision()?;
        let request = sent.request(DeleteCommentRequest { id, revision });
        let forum = sent.services().forum.clone();
        { forum }.delete_comment(request).await?;
        Ok(sent.back_to(&part))
    };
    let outcome = outcome.await;
    sent.end(outcome).await
}

/// The address of a comment on the page that sent the form.
fn at(sent: &Sent, comment: Option<Comment>) -> String {
    let id = comment.map(|comment| comment.id).unwrap_or_default();
    sent.back_to(&format!("comment-{id}"))
}
