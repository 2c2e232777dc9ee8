//! A fake forum service, as a part of [`Core`].

use slipway_proto::forum::v1::{forum_service_server::ForumService, *};
use tonic::{Request, Response, Status};

use super::core::{Core, TASK, ada, answers, at};

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

answers! { ForumService:
    post_comment(PostCommentRequest) -> PostCommentResponse { comment: Some(comment()) }
    post_reply(PostReplyRequest) -> PostReplyResponse { comment: Some(comment()) }
    edit_comment(EditCommentRequest) -> EditCommentResponse { comment: Some(comment()) }
    delete_comment(DeleteCommentRequest) -> DeleteCommentResponse {}
    get_comment(GetCommentRequest) -> GetCommentResponse { comment: Some(comment()) }
    list_comments(ListCommentsRequest) -> ListCommentsResponse {
        comments: vec![comment(), reply()],
        next_page_token: "next".into(),
    }
    list_replies(ListRepliesRequest) -> ListRepliesResponse {
        comments: vec![reply()],
        next_page_token: String::new(),
    }
}
