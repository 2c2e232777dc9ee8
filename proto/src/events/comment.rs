//! Events about comments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::UserRef;

/// The task that a comment is on, as it was when the comment was posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommentedTask {
    /// Id of the task.
    pub id: Uuid,
    /// Its title.
    pub title: String,
    /// Id of its release.
    pub release_id: Uuid,
    /// Name of its release.
    pub release_name: String,
    /// Its owner.
    pub assignee: UserRef,
}

/// `comment.posted`: somebody began a thread on a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommentPostedEvent {
    /// The task.
    pub task: CommentedTask,
    /// Id of the comment.
    pub comment_id: Uuid,
    /// Who wrote it.
    pub author: UserRef,
    /// How it begins: at most 200 characters, on one line.
    pub excerpt: String,
    /// The users it mentions as `@username`: each once, at most 20, never the author.
    pub mentions: Vec<UserRef>,
}

/// `comment.replied`: somebody replied to a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommentRepliedEvent {
    /// The task.
    pub task: CommentedTask,
    /// Id of the reply.
    pub comment_id: Uuid,
    /// Id of the comment it replies to.
    pub parent_id: Uuid,
    /// Who wrote that comment.
    pub parent_author: UserRef,
    /// Who wrote the reply.
    pub author: UserRef,
    /// How it begins: at most 200 characters, on one line.
    pub excerpt: String,
    /// The users it mentions as `@username`: each once, at most 20, never the author.
    pub mentions: Vec<UserRef>,
}
