//! Events about comments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::UserRef;

/// The task of a comment, in its state when the comment was posted.
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

/// `comment.posted`: a user started a thread on a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommentPostedEvent {
    /// The task.
    pub task: CommentedTask,
    /// Id of the comment.
    pub comment_id: Uuid,
    /// The author of the comment.
    pub author: UserRef,
    /// The beginning of the comment: at most 200 characters, on one line.
    pub excerpt: String,
    /// The users mentioned as `@username`: each once, at most 20, never the author.
    pub mentions: Vec<UserRef>,
}

/// `comment.replied`: a user replied to a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommentRepliedEvent {
    /// The task.
    pub task: CommentedTask,
    /// Id of the reply.
    pub comment_id: Uuid,
    /// Id of the comment it replies to.
    pub parent_id: Uuid,
    /// The author of that comment.
    pub parent_author: UserRef,
    /// The author of the reply.
    pub author: UserRef,
    /// The beginning of the reply: at most 200 characters, on one line.
    pub excerpt: String,
    /// The users mentioned as `@username`: each once, at most 20, never the author.
    pub mentions: Vec<UserRef>,
}

/// `comment.edited`: the author of a comment changed it. Nobody is notified of mentions that are
/// new in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommentEditedEvent {
    /// The task.
    pub task: CommentedTask,
    /// Id of the comment.
    pub comment_id: Uuid,
    /// The author of the comment.
    pub author: UserRef,
    /// The beginning of the comment before the change: at most 200 characters, on one line.
    pub previous_excerpt: String,
    /// The beginning of the comment after it, likewise.
    pub excerpt: String,
}

/// `comment.deleted`: the author of a comment or an admin deleted it. The event does not have its
/// text, which is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommentDeletedEvent {
    /// The task.
    pub task: CommentedTask,
    /// Id of the comment.
    pub comment_id: Uuid,
    /// The author of the comment.
    pub author: UserRef,
}
