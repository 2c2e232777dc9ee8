//! Events about tasks.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FieldChange, UserRef};

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    /// Assigned, not started.
    Todo,
    /// In progress.
    InProcess,
    /// Finished.
    Completed,
}

/// How important a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskPriority {
    /// It can wait.
    Low,
    /// The priority of a task of which nothing else is said.
    Normal,
    /// Before others.
    High,
    /// At once.
    Urgent,
}

/// How a task recurs: when it is completed, the next occurrence of its series is added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRecurrence {
    /// The rule: the value of an RRULE of RFC 5545.
    pub rule: String,
    /// The name of the time zone in which its days and times of day are.
    pub time_zone: String,
    /// Id of the release that gets the next occurrence once all tasks of this one are completed;
    /// absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_id: Option<Uuid>,
    /// When the first task of the series was due.
    pub starts_at: Timestamp,
}

/// Why the series of a recurring task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SeriesEnd {
    /// The rule has no further date.
    RuleExhausted,
    /// The release that would get the next occurrence is completed.
    ReleaseCompleted,
    /// The release that would get the next occurrence does not exist any more.
    ReleaseDeleted,
    /// The owner has no account any more, or is no developer.
    OwnerGone,
}

/// A task in its state after the event.
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
    /// Its position in the release's order: a number to sort by, with gaps.
    pub order_index: i64,
    /// The state.
    pub status: TaskState,
    /// Whether it was added as urgent to a release that had been completed.
    pub hotfix: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was started; absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was completed; absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// When it is due; absent if it has no due date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// How important it is. Absent in events of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<TaskPriority>,
    /// Its tags: in lower case, sorted. Absent if it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How many minutes before `dueAt` its owner is reminded; absent if not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_before_minutes: Option<u32>,
    /// How it recurs; absent if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<TaskRecurrence>,
}

/// `task.created`: a task was added to a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskCreatedEvent {
    /// The task.
    pub task: TaskData,
}

/// `task.updated`: an admin changed a task, or its owner changed the reminder. If it has a new owner, `task.assigned` or, for a hotfix,
/// `task.hotfix_added` follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskUpdatedEvent {
    /// The task after the change.
    pub task: TaskData,
    /// The changed fields: `title`, `description`, `assignee`, `orderIndex`, `dueAt`, `priority`,
    /// `tags`, `remindBeforeMinutes`, `recurrence`. A newer version may have others.
    pub changed: Vec<String>,
    /// Their values before and after, as in `task`. Absent in events of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// The owner before the change; absent if the owner was not changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_assignee: Option<UserRef>,
}

/// `task.deleted`: a task that was not started was deleted, alone or with its release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskDeletedEvent {
    /// The task before it was deleted.
    pub task: TaskData,
}

/// `task.assigned`: a task was assigned to its owner. For a hotfix, `task.hotfix_added` is
/// published instead.
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
    /// The position among the tasks of the release, counted from 1. Absent in events of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Whether it can start: all tasks before it are completed. Absent in events of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_start: Option<bool>,
    /// When it is due; absent if it has no due date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// If the task was created with its release: how many of the release's first tasks this owner
    /// has, including this one. A notifier can then send one message about all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_tasks: Option<u32>,
}

/// `task.started`: the owner started a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStartedEvent {
    /// The task.
    pub task: TaskData,
}

/// `task.paused`: a started task was handed back: it is TODO again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskPausedEvent {
    /// The task.
    pub task: TaskData,
    /// Why, in the words of the owner or admin who paused it.
    pub reason: String,
    /// Milliseconds of work on it so far: from each start to the next pause.
    pub worked_ms: i64,
    /// The admin who planned its release.
    pub planned_by: UserRef,
}

/// `task.completed`: the owner completed a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskCompletedEvent {
    /// The task.
    pub task: TaskData,
    /// Milliseconds of work on it: from start to completion, and before that from each earlier start
    /// to the pause.
    pub duration_ms: i64,
    /// The task that can be started next; absent if none is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_task: Option<TaskData>,
}

/// `task.hotfix_added`: an urgent task was added to a release that had been completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HotfixTaskAddedEvent {
    /// The developer to notify immediately.
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
    /// The position among the tasks of the release, counted from 1. Absent in events of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Whether it can start: all tasks before it are completed. Absent in events of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_start: Option<bool>,
    /// When it is due; absent if it has no due date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
}

/// `task.ready`: a task is the next one to do and can start: all tasks before it are completed, or
/// it is the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskReadyEvent {
    /// The task.
    pub task: TaskData,
    /// The position among the tasks of the release, counted from 1.
    pub position: u32,
    /// If the task was added, reassigned or paused by the same command: the type of the event that
    /// already tells the owner that it can start: `task.assigned`, `task.hotfix_added` or
    /// `task.paused`. A notifier that reports that event can ignore this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_by: Option<String>,
}

/// `task.stale_detected`: a task has been in progress for too long.
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

/// `task.reminder_due`: the time has come at which the owner asked to be reminded.
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
    /// When the task is due; absent if it has no due date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The time that the owner asked for, to the minute.
    pub remind_at: Timestamp,
    /// Whether the event comes more than a minute after that time, such as after an outage; absent
    /// if not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<bool>,
}

/// `task.recurrence_ended`: a recurring task was completed, and no further one follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRecurrenceEndedEvent {
    /// The task, which was the last of its series.
    pub task: TaskData,
    /// Why.
    pub reason: SeriesEnd,
    /// The admin who planned its release.
    pub planned_by: UserRef,
}
