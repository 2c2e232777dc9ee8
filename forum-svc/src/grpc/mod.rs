//! The gRPC `ForumService`: each method translates the request, calls the domain, and translates
//! the result.

mod lists;
mod translate;

use std::{str::FromStr, sync::Arc};

use prost::Message;
use slipway_proto::forum::v1::{
    DeleteCommentRequest, DeleteCommentResponse, EditCommentRequest, EditCommentResponse,
    GetCommentRequest, GetCommentResponse, ListCommentsRequest, ListCommentsResponse,
    ListRepliesRequest, ListRepliesResponse, PostCommentRequest, PostCommentResponse,
    PostReplyRequest, PostReplyResponse, forum_service_server::ForumService,
};
use slipway_rpc::{access::principal, error::Fault};
use slipway_runtime::id::MalformedId;
use slipway_store::receipts::Repeatable;
use tonic::{Request, Response, Status};

use crate::{
    comment::{Comment, Content, Revision},
    forum::{CommandContext, Forum},
    reading::descendants,
    release::on_behalf_of,
};

pub(crate) struct ForumApi {
    pub(crate) forum: Arc<Forum>,
}

#[tonic::async_trait]
impl ForumService for ForumApi {
    async fn post_comment(
        &self,
        request: Request<PostCommentRequest>,
    ) -> Result<Response<PostCommentResponse>, Status> {
        let by = by(&request, "PostComment")?;
        let message = request.into_inner();
        let task = id("task_id", &message.task_id)?;
        let content = content(message.content)?;
        let posted = self.forum.post(task, content, &by, |comment| {
            let comment = Some(new(comment));
            PostCommentResponse { comment }
        });
        Ok(Response::new(self.forum.once(&by, posted).await?))
    }

    async fn post_reply(
        &self,
        request: Request<PostReplyRequest>,
    ) -> Result<Response<PostReplyResponse>, Status> {
        let by = by(&request, "PostReply")?;
        let message = request.into_inner();
        let parent = id("comment_id", &message.comment_id)?;
        let content = content(message.content)?;
        let posted = self.forum.reply(parent, content, &by, |comment| {
            let comment = Some(new(comment));
            PostReplyResponse { comment }
        });
        Ok(Response::new(self.forum.once(&by, posted).await?))
    }

    async fn edit_comment(
        &self,
        request: Request<EditCommentRequest>,
    ) -> Result<Response<EditCommentResponse>, Status> {
        let by = caller(&request)?;
        let message = request.into_inner();
        let id = id("id", &message.id)?;
        let on = revision(message.revision);
        let content = content(message.content)?;
        let edited = self.forum.edit(id, on, content, &by).await?;
        // The edit is stored, even if its replies cannot be counted.
        let count = descendants(self.forum.comments(), (&edited).into()).await;
        let comment = Some(translate::comment(&edited.comment, count.ok()));
        Ok(Response::new(EditCommentResponse { comment }))
    }

    async fn delete_comment(
        &self,
        request: Request<DeleteCommentRequest>,
    ) -> Result<Response<DeleteCommentResponse>, Status> {
        let by = caller(&request)?;
        let message = request.into_inner();
        let id = id("id", &message.id)?;
        let on = revision(message.revision);
        self.forum.delete(id, on, &by).await?;
        Ok(Response::new(DeleteCommentResponse {}))
    }

    async fn get_comment(
        &self,
        request: Request<GetCommentRequest>,
    ) -> Result<Response<GetCommentResponse>, Status> {
        let id = id("id", &request.get_ref().id)?;
        let found = self.forum.comment(id).await?;
        let asker = on_behalf_of(&request);
        self.forum.has_task(found.comment.task, &asker).await?;
        let count = descendants(self.forum.comments(), (&found).into()).await;
        let count = count.map_err(Fault::from)?;
        let comment = Some(translate::comment(&found.comment, Some(count)));
        Ok(Response::new(GetCommentResponse { comment }))
    }

    async fn list_comments(
        &self,
        request: Request<ListCommentsRequest>,
    ) -> Result<Response<ListCommentsResponse>, Status> {
        let asker = on_behalf_of(&request);
        let page = lists::comments(&self.forum, request.into_inner(), &asker).await?;
        Ok(Response::new(page))
    }

    async fn list_replies(
        &self,
        request: Request<ListRepliesRequest>,
    ) -> Result<Response<ListRepliesResponse>, Status> {
        let asker = on_behalf_of(&request);
        let page = lists::replies(&self.forum, request.into_inner(), &asker).await?;
        Ok(Response::new(page))
    }
}

/// A comment that was just posted: it has no replies.
fn new(comment: &Comment) -> slipway_proto::forum::v1::Comment {
    translate::comment(comment, Some(0))
}

fn by<M: Message>(request: &Request<M>, method: &str) -> Result<CommandContext, Fault> {
    let caller = caller(request)?;
    let principal = Some(&*caller.principal);
    let repeatable = Repeatable::of(request, method, principal, request.get_ref())?;
    Ok(CommandContext {
        repeatable,
        ..caller
    })
}

/// The caller of a command that has the same effect when it is repeated.
fn caller<M>(request: &Request<M>) -> Result<CommandContext, Fault> {
    Ok(CommandContext {
        principal: principal(request)?,
        asker: on_behalf_of(request),
        repeatable: None,
    })
}

/// Parses an id in a field of a request.
fn id<T: FromStr<Err = MalformedId>>(field: &str, text: &str) -> Result<T, Fault> {
    text.parse()
        .map_err(|error: MalformedId| Fault::invalid_field(field, error.to_string()))
}

/// The revision that a request is based on; 0 means none.
fn revision(revision: u64) -> Option<Revision> {
    (revision != 0).then_some(Revision(revision))
}

fn content(text: String) -> Result<Content, Fault> {
    Content::new(text).map_err(|message| Fault::invalid_field("content", message))
}
