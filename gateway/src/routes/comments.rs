//! `/tasks/{id}/comments` and `/comments…`.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header::LOCATION};
use slipway_proto::forum::v1::{
    DeleteCommentRequest, EditCommentRequest, GetCommentRequest, PostCommentRequest,
    PostReplyRequest,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::Repeatable;
use crate::{
    app::AppState,
    etag::{Tagged, if_match},
    extract::{Caller, ListParams, Params, PathId, Payload},
    model::{
        Comment, CommentItem, DiscussionQuery, Id, NewComment, Page, Paging, View, answered, nest,
        replies_page,
    },
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, post))
        .routes(routes!(get, edit, delete))
        .routes(routes!(replies))
        .routes(routes!(reply))
}

/// Begins a thread on a task.
#[utoipa::path(
    post,
    path = "/tasks/{id}/comments",
    operation_id = "postComment",
    tag = "discussion",
    params(
        ("id" = Id, Path, description = "Id of the task"),
        Repeatable,
    ),
    request_body(
        content = NewComment,
        example = json!({"content": "Which architectures, @ada?"}),
    ),
    responses(
        (
            status = 201,
            description = "Posted",
            body = Comment,
            headers(
                ("Location" = String, description = "Its address"),
                ("ETag" = String, description = "Its revision"),
            ),
        ),
        (status = 404, description = "`TASK_NOT_FOUND`"),
        (status = 409, description = "`IDEMPOTENCY_KEY_REUSED`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn post(
    State(app): State<AppState>,
    caller: Caller,
    PathId(task): PathId,
    Payload(comment): Payload<NewComment>,
) -> Result<impl IntoResponse, Problem> {
    let request = caller.outbound.request(PostCommentRequest {
        task_id: task.to_string(),
        content: comment.content,
    });
    let answer = app.forum().post_comment(request).await?.into_inner();
    Ok(created(answered(answer.comment)?))
}

/// Replies to a comment, at any depth.
#[utoipa::path(
    post,
    path = "/comments/{id}/reply",
    operation_id = "reply",
    tag = "discussion",
    params(
        ("id" = Id, Path, description = "Id of the comment to reply to"),
        Repeatable,
    ),
    request_body(
        content = NewComment,
        example = json!({"content": "All that we have *images* for."}),
    ),
    responses(
        (
            status = 201,
            description = "Posted",
            body = Comment,
            headers(
                ("Location" = String, description = "Its address"),
                ("ETag" = String, description = "Its revision"),
            ),
        ),
        (status = 404, description = "`COMMENT_NOT_FOUND`"),
        (status = 409, description = "`COMMENT_DELETED`, `IDEMPOTENCY_KEY_REUSED`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn reply(
    State(app): State<AppState>,
    caller: Caller,
    PathId(parent): PathId,
    Payload(comment): Payload<NewComment>,
) -> Result<impl IntoResponse, Problem> {
    let request = caller.outbound.request(PostReplyRequest {
        comment_id: parent.to_string(),
        content: comment.content,
    });
    let answer = app.forum().post_reply(request).await?.into_inner();
    Ok(created(answered(answer.comment)?))
}

/// The discussion of a task in reading order: each comment before its replies, oldest
/// first.
///
/// The pages together are the whole discussion in order, even if comments are posted meanwhile.
/// With `view=tree` the comments of a page are nested in `replies` to a depth of 50; below that,
/// `moreReplies` has the cursor that lists them. A comment whose parent is on an earlier page is at
/// the top level of its page. A page of the tree may have fewer comments than `limit` although
/// more follow: it ends after it has skipped some thousand deeper replies.
#[utoipa::path(
    get,
    path = "/tasks/{id}/comments",
    operation_id = "listComments",
    tag = "discussion",
    params(("id" = Id, Path, description = "Id of the task"), DiscussionQuery, Paging),
    responses(
        (status = 200, description = "A page of comments", body = Page<CommentItem>),
        (status = 404, description = "`TASK_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    PathId(task): PathId,
    ListParams(query, paging): ListParams<DiscussionQuery>,
) -> Result<Json<Page<CommentItem>>, Problem> {
    let request = caller.outbound.request(query.page(task, paging));
    let answer = app.forum().list_comments(request).await?.into_inner();
    let items = match query.view() {
        View::Flat => {
            let comments = answer.comments.into_iter().map(Comment::try_from);
            comments
                .map(|comment| comment.map(CommentItem::Flat))
                .collect::<Result<_, _>>()?
        }
        View::Tree => nest(answer.comments)?
            .into_iter()
            .map(CommentItem::Node)
            .collect(),
    };
    Ok(Json(Page::of(items, answer.next_page_token)))
}

/// The direct replies to one comment, oldest first.
#[utoipa::path(
    get,
    path = "/comments/{id}/replies",
    operation_id = "listReplies",
    tag = "discussion",
    params(("id" = Id, Path, description = "Id of the comment"), Paging),
    responses(
        (status = 200, description = "A page of replies", body = Page<Comment>),
        (status = 404, description = "`COMMENT_NOT_FOUND`, `TASK_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn replies(
    State(app): State<AppState>,
    caller: Caller,
    PathId(comment): PathId,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Comment>>, Problem> {
    let request = caller.outbound.request(replies_page(comment, paging));
    let answer = app.forum().list_replies(request).await?.into_inner();
    Ok(Json(Page::new(answer.comments, answer.next_page_token)?))
}

/// One comment.
#[utoipa::path(
    get,
    path = "/comments/{id}",
    operation_id = "getComment",
    tag = "discussion",
    params(("id" = Id, Path, description = "Id of the comment")),
    responses(
        (
            status = 200,
            description = "The comment",
            body = Comment,
            headers(("ETag" = String, description = "Its revision, for `If-Match`")),
        ),
        (status = 404, description = "`COMMENT_NOT_FOUND`, `TASK_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<impl IntoResponse, Problem> {
    let request = caller
        .outbound
        .request(GetCommentRequest { id: id.to_string() });
    let answer = app.forum().get_comment(request).await?.into_inner();
    Ok(tagged(answered(answer.comment)?))
}

/// Replaces the content of one's own comment.
///
/// With `If-Match` only if it is still at that revision.
#[utoipa::path(
    patch,
    path = "/comments/{id}",
    operation_id = "editComment",
    tag = "discussion",
    params(
        ("id" = Id, Path, description = "Id of the comment"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what was edited"),
    ),
    request_body(
        content = NewComment,
        example = json!({"content": "All that we have images for."}),
    ),
    responses(
        (
            status = 200,
            description = "The edited comment",
            body = Comment,
            headers(("ETag" = String, description = "Its revision")),
        ),
        (status = 403, description = "`NOT_AUTHOR`"),
        (status = 404, description = "`COMMENT_NOT_FOUND`"),
        (status = 409, description = "`COMMENT_DELETED`, `CONTENDED` (others keep editing it)"),
        (status = 412, description = "`COMMENT_CHANGED`: edited meanwhile; see `revision`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn edit(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    headers: HeaderMap,
    Payload(comment): Payload<NewComment>,
) -> Result<impl IntoResponse, Problem> {
    let condition = if_match(&headers, 1)?;
    let answer = condition.guard(CHANGED, |revision| {
        let request = caller.outbound.request(EditCommentRequest {
            id: id.to_string(),
            content: comment.content.clone(),
            revision: revision.unwrap_or_default(),
        });
        let mut service = app.forum();
        async move { service.edit_comment(request).await }
    });
    let answer = answer.await?.into_inner();
    Ok(tagged(answered(answer.comment)?))
}

/// Deletes one's own comment; an admin deletes any.
///
/// It stays in its place, without content and author. Deleting it again is allowed. With
/// `If-Match` only if it is still at that revision.
#[utoipa::path(
    delete,
    path = "/comments/{id}",
    operation_id = "deleteComment",
    tag = "discussion",
    params(
        ("id" = Id, Path, description = "Id of the comment"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is deleted"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "`NOT_AUTHOR`"),
        (status = 404, description = "`COMMENT_NOT_FOUND`"),
        (status = 409, description = "`CONTENDED` (others keep editing it)"),
        (status = 412, description = "`COMMENT_CHANGED`: edited meanwhile; see `revision`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn delete(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let condition = if_match(&headers, 1)?;
    let answer = condition.guard(CHANGED, |revision| {
        let request = caller.outbound.request(DeleteCommentRequest {
            id: id.to_string(),
            revision: revision.unwrap_or_default(),
        });
        let mut service = app.forum();
        async move { service.delete_comment(request).await }
    });
    answer.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The service's error code if `If-Match` does not match.
const CHANGED: &str = "COMMENT_CHANGED";

fn created(comment: Comment) -> Response {
    let location = format!("/comments/{}", comment.id);
    (StatusCode::CREATED, [(LOCATION, location)], tagged(comment)).into_response()
}

fn tagged(comment: Comment) -> Tagged<Comment> {
    Tagged {
        revision: comment.revision,
        body: comment,
    }
}
