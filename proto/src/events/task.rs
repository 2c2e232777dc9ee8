//! Events about tasks.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::UserRef;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    /// Assigned, not started.
    Todo,
    /// Being worked on.
    InProcess,
    /// Finished.
    Completed,
}

/// A task as it is after the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskData {
    /// Id of the task.
    pub id: Uuid,
    /// Id of its release.
    pub release_id: Uuid,
    /// Name of its release.
    pub release_name: String,
    /// Its title.
    pub title: String,
    /// Its description; may be empty.
    pub description: String,
    /// Its owner.
    pub assignee: UserRef,
    /// Its place in the release's order.
    pub order_index: i64,
    /// Where it stands.
    pub status: TaskState,
    /// Whether it was added to a release that had been completed, as something urgent.
    pub hotfix: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was started, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was completed, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// When it is due, if that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
}

/// `task.created`: a task was added to a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskCreatedEvent {
    /// The task.
    pub task: TaskData,
}

/// `task.assigned`: a task got an owner. A hotfix says so by `task.hotfix_added` instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskAssignedEvent {
    /// The owner.
    pub developer_id: Uuid,
    /// The owner's username.
    pub developer_name: String,
    /// Id of the release.
    pub release_id: Uuid,
    /// Name of the release.
    pub release_name: String,
    /// Id of the task.
    pub task_id: Uuid,
    /// Title of the task.
    pub task_title: String,
    /// Its order index: a number to sort by, with gaps.
    pub order_index: i64,
    /// Which task of the release it is, counted from 1. Absent in events of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Whether it can start: every task in front of it is completed. Absent in events of
    /// older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_start: Option<bool>,
    /// When it is due, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// If the task came with its release: how many of the release's first tasks this owner
    /// has, this one included. Whoever tells the owner can tell of all of them at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_tasks: Option<u32>,
}

/// `task.started`: its owner began to work on a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStartedEvent {
    /// The task.
    pub task: TaskData,
}

/// `task.completed`: its owner finished a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskCompletedEvent {
    /// The task.
    pub task: TaskData,
    /// Milliseconds from start to completion.
    pub duration_ms: i64,
    /// The task that may be started now, if there is one left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_task: Option<TaskData>,
}

/// `task.hotfix_added`: an urgent task was added to a release that had been completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HotfixTaskAddedEvent {
    /// The developer to be told at once.
    pub developer_id: Uuid,
    /// That developer's username.
    pub developer_name: String,
    /// Id of the release.
    pub release_id: Uuid,
    /// Name of the release.
    pub release_name: String,
    /// Id of the task.
    pub task_id: Uuid,
    /// Title of the task.
    pub task_title: String,
    /// Which task of the release it is, counted from 1. Absent in events of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Whether it can start: every task in front of it is completed. Absent in events of
    /// older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_start: Option<bool>,
    /// When it is due, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
}

/// `task.ready`: a task has become the one to be done next and can start. Every task in
/// front of it is completed, or it is the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskReadyEvent {
    /// The task.
    pub task: TaskData,
    /// Which task of the release it is, counted from 1.
    pub position: u32,
    /// If the task was added by the same command: the type of the event that says so to its
    /// owner, and that it can start: `task.assigned` or `task.hotfix_added`. Whoever tells
    /// the owner of that event need not tell them of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_by: Option<String>,
}

/// `task.stale_detected`: a task has been in process for longer than it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaleTaskDetectedEvent {
    /// The owner, who is reminded.
    pub developer_id: Uuid,
    /// The owner's username.
    pub developer_name: String,
    /// Id of the release.
    pub release_id: Uuid,
    /// Name of the release.
    pub release_name: String,
    /// Id of the task.
    pub task_id: Uuid,
    /// Title of the task.
    pub task_title: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// Full hours since then.
    pub hours: u32,
}

/// `task.reminder_due`: the minute has come at which the owner asked to be reminded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskReminderDueEvent {
    /// The owner, who is reminded.
    pub developer_id: Uuid,
    /// The owner's username.
    pub developer_name: String,
    /// Id of the release.
    pub release_id: Uuid,
    /// Name of the release.
    pub release_name: String,
    /// Id of the task.
    pub task_id: Uuid,
    /// Title of the task.
    pub task_title: String,
    /// When the task is due, if that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The minute asked for.
    pub remind_at: Timestamp,
}
