//! The forum service, made up, as a part of [`Core`].

use async_trait::async_trait;
use slipway_proto::forum::v1::{forum_service_server::ForumService, *};
use tonic::{Request, Response, Status};

use super::core::{Core, TASK, ada, at};

pub(crate) const COMMENT: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000dd";
pub(crate) const REPLY: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000ee";

fn comment() -> Comment {
    Comment {
        id: COMMENT.into(),
        task_id: TASK.into(),
        root_id: COMMENT.into(),
        author: ada(),
        content: "How is it *going*?".into(),
        reply_count: 1,
        descendant_count: Some(1),
        created_at: at(0),
        revision: 3,
        ..Comment::default()
    }
}

fn reply() -> Comment {
    Comment {
        id: REPLY.into(),
        parent_id: COMMENT.into(),
        depth: 1,
        author: None,
        content: String::new(),
        deleted: true,
        descendant_count: None,
        more_replies_token: "further down".into(),
        ..comment()
    }
}

#[async_trait]
impl ForumService for Core {
    async fn post_comment(
        &self,
        request: Request<PostCommentRequest>,
    ) -> Result<Response<PostCommentResponse>, Status> {
        let comment = Some(comment());
        self.answer(request, PostCommentResponse { comment }).await
    }

    async fn post_reply(
        &self,
        request: Request<PostReplyRequest>,
    ) -> Result<Response<PostReplyResponse>, Status> {
        let comment = Some(comment());
        self.answer(request, PostReplyResponse { comment }).await
    }

    async fn edit_comment(
        &self,
        request: Request<EditCommentRequest>,
    ) -> Result<Response<EditCommentResponse>, Status> {
        let comment = Some(comment());
        self.answer(request, EditCommentResponse { comment }).await
    }

    async fn delete_comment(
        &self,
        request: Request<DeleteCommentRequest>,
    ) -> Result<Response<DeleteCommentResponse>, Status> {
        self.answer(request, DeleteCommentResponse {}).await
    }

    async fn get_comment(
        &self,
        request: Request<GetCommentRequest>,
    ) -> Result<Response<GetCommentResponse>, Status> {
        let comment = Some(comment());
        self.answer(request, GetCommentResponse { comment }).await
    }

    async fn list_comments(
        &self,
        request: Request<ListCommentsRequest>,
    ) -> Result<Response<ListCommentsResponse>, Status> {
        let answer = ListCommentsResponse {
            comments: vec![comment(), reply()],
            next_page_token: "next".into(),
        };
        self.answer(request, answer).await
    }

    async fn list_replies(
        &self,
        request: Request<ListRepliesRequest>,
    ) -> Result<Response<ListRepliesResponse>, Status> {
        let answer = ListRepliesResponse {
            comments: vec![reply()],
            next_page_token: String::new(),
        };
        self.answer(request, answer).await
    }
}
