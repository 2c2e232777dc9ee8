//! Tasks.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::release::v1::{self, new_task::Assignee};
use slipway_rpc::error::Fault;
use slipway_runtime::json::whole;
use utoipa::ToSchema;

use super::{
    Id, Malformed, UserRef,
    proto::{self, required},
    recurrence::{NewRecurrence, Recurrence},
};
use crate::extract::time;

/// The status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TaskStatus {
    /// Assigned, not started.
    Todo,
    /// Its assignee is working on it.
    InProcess,
    /// Finished.
    Completed,
}

impl TaskStatus {
    fn from_proto(status: v1::TaskStatus) -> Option<Self> {
        match status {
            v1::TaskStatus::Unspecified => None,
            v1::TaskStatus::Todo => Some(Self::Todo),
            v1::TaskStatus::InProcess => Some(Self::InProcess),
            v1::TaskStatus::Completed => Some(Self::Completed),
        }
    }

    pub(super) fn to_proto(self) -> v1::TaskStatus {
        match self {
            Self::Todo => v1::TaskStatus::Todo,
            Self::InProcess => v1::TaskStatus::InProcess,
            Self::Completed => v1::TaskStatus::Completed,
        }
    }
}

impl FromStr for TaskStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "TODO" => Ok(Self::Todo),
            "IN_PROCESS" => Ok(Self::InProcess),
            "COMPLETED" => Ok(Self::Completed),
            _ => Err("must be TODO, IN_PROCESS or COMPLETED"),
        }
    }
}

/// How important a task is. It does not change the order of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TaskPriority {
    /// It can wait.
    Low,
    /// The priority of a task of which nothing else is said.
    Normal,
    /// Before others.
    High,
    /// At once.
    Urgent,
}

impl TaskPriority {
    fn from_proto(priority: v1::TaskPriority) -> Option<Self> {
        match priority {
            v1::TaskPriority::Unspecified => None,
            v1::TaskPriority::Low => Some(Self::Low),
            v1::TaskPriority::Normal => Some(Self::Normal),
            v1::TaskPriority::High => Some(Self::High),
            v1::TaskPriority::Urgent => Some(Self::Urgent),
        }
    }

    /// The proto number of a priority that may be left out.
    pub(super) fn number(priority: Option<Self>) -> i32 {
        let priority = match priority {
            None => v1::TaskPriority::Unspecified,
            Some(Self::Low) => v1::TaskPriority::Low,
            Some(Self::Normal) => v1::TaskPriority::Normal,
            Some(Self::High) => v1::TaskPriority::High,
            Some(Self::Urgent) => v1::TaskPriority::Urgent,
        };
        priority.into()
    }
}

impl FromStr for TaskPriority {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "LOW" => Ok(Self::Low),
            "NORMAL" => Ok(Self::Normal),
            "HIGH" => Ok(Self::High),
            "URGENT" => Ok(Self::Urgent),
            _ => Err("must be LOW, NORMAL, HIGH or URGENT"),
        }
    }
}

/// Minutes for a service, which refuses numbers that are out of bounds.
pub(super) fn minutes(minutes: i64) -> u32 {
    u32::try_from(minutes).unwrap_or(u32::MAX)
}

/// A unit of work with one owner, at a place in its release's order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Task {
    pub(crate) id: Id,
    release_id: Id,
    release_name: String,
    title: String,
    /// May be empty.
    description: String,
    assignee: UserRef,
    /// Unique within the release; gaps are allowed.
    order_index: i64,
    status: TaskStatus,
    /// Whether it is an urgent task, added to a release that had been completed.
    hotfix: bool,
    created_at: Timestamp,
    /// `null` before it is started.
    #[schema(required)]
    started_at: Option<Timestamp>,
    /// `null` before it is completed.
    #[schema(required)]
    completed_at: Option<Timestamp>,
    /// `null` if it has no due time.
    #[schema(required)]
    due_at: Option<Timestamp>,
    priority: TaskPriority,
    /// In lower case, sorted.
    tags: Vec<String>,
    /// How many minutes before `dueAt` its assignee is reminded; `null` if not at all.
    #[schema(required)]
    remind_before_minutes: Option<u32>,
    /// `null` if it does not recur.
    #[schema(required)]
    recurrence: Option<Recurrence>,
    /// Milliseconds of work on it: from each start to the pause or completion. The time since
    /// `startedAt` of a task in process is not included.
    worked_ms: i64,
    /// The revision of its release in which it was last changed.
    pub(crate) revision: u64,
}

impl TryFrom<v1::Task> for Task {
    type Error = Malformed;

    fn try_from(task: v1::Task) -> Result<Self, Malformed> {
        Ok(Self {
            id: proto::id("task id", &task.id)?,
            release_id: proto::id("release_id", &task.release_id)?,
            status: required("status", TaskStatus::from_proto(task.status()))?,
            priority: required("priority", TaskPriority::from_proto(task.priority()))?,
            release_name: task.release_name,
            title: task.title,
            description: task.description,
            assignee: required("assignee", task.assignee)?.try_into()?,
            order_index: task.order_index,
            hotfix: task.hotfix,
            created_at: proto::time("created_at", task.created_at)?,
            started_at: proto::optional_time("started_at", task.started_at)?,
            completed_at: proto::optional_time("completed_at", task.completed_at)?,
            due_at: proto::optional_time("due_at", task.due_at)?,
            tags: task.tags,
            remind_before_minutes: task.remind_before_minutes,
            recurrence: task.recurrence.map(Recurrence::try_from).transpose()?,
            worked_ms: task.worked_ms,
            revision: task.revision,
        })
    }
}

/// The greatest `orderIndex`: the limit of release-svc.
pub(super) const LAST_ORDER_INDEX: i64 = 9_007_199_254_740_991;

/// Minutes before the due time at most at which an owner can be reminded: 30 days.
pub(super) const MAX_REMINDER: i64 = 43_200;

/// A task to be added to a release. Exactly one of `assigneeId` and `assignee` is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewTask {
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    #[schema(max_length = 8000)]
    description: Option<String>,
    /// Id of the developer who owns it.
    assignee_id: Option<Id>,
    /// Username of the developer who owns it.
    assignee: Option<String>,
    /// A free number above the order index of every started task. Left out: after the last task.
    #[serde(default, deserialize_with = "whole::<LAST_ORDER_INDEX, _>")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    order_index: Option<i64>,
    /// When it is due, such as `2026-12-01T17:00:00Z`: a date with a time and an offset, in
    /// the years 2000 to 2200.
    #[serde(default, deserialize_with = "time")]
    due_at: Option<Timestamp>,
    /// Whether it is a hotfix; its owner is notified at once, even in quiet hours. `true` is
    /// allowed only after the release was completed, `false` only while it is open. Left out:
    /// `true` if the release was ever completed.
    hotfix: Option<bool>,
    /// Left out: `NORMAL`.
    priority: Option<TaskPriority>,
    /// Each of 1 to 50 characters. Stored in lower case.
    #[schema(max_items = 20)]
    tags: Option<Vec<String>>,
    /// How many minutes before `dueAt` its assignee is reminded, at most 30 days. Left out: not at
    /// all.
    #[serde(default, deserialize_with = "whole::<MAX_REMINDER, _>")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 43200)]
    remind_before_minutes: Option<i64>,
    /// Left out: it does not recur.
    recurrence: Option<NewRecurrence>,
}

impl NewTask {
    /// The proto message; `path` is the prefix of its field names in errors.
    pub(crate) fn into_proto(self, path: &str) -> Result<v1::NewTask, Fault> {
        let assignee = match (self.assignee_id, self.assignee) {
            (Some(id), None) => Assignee::AssigneeId(id.to_string()),
            (None, Some(username)) => Assignee::AssigneeUsername(username),
            _ => {
                return Err(Fault::invalid_field(
                    format!("{path}assignee"),
                    "or assigneeId must be given: exactly one of the two",
                ));
            }
        };
        Ok(v1::NewTask {
            title: self.title,
            description: self.description.unwrap_or_default(),
            assignee: Some(assignee),
            order_index: self.order_index,
            due_at: self.due_at.map(proto::to_proto),
            hotfix: self.hotfix,
            priority: TaskPriority::number(self.priority),
            tags: self.tags.unwrap_or_default(),
            remind_before_minutes: self.remind_before_minutes.map(minutes),
            recurrence: self.recurrence.map(Into::into),
        })
    }
}

/// A short form of another task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskReference {
    id: Id,
    release_id: Id,
    release_name: String,
    title: String,
    order_index: i64,
    status: TaskStatus,
    assignee: UserRef,
}

impl TryFrom<v1::Task> for TaskReference {
    type Error = Malformed;

    fn try_from(task: v1::Task) -> Result<Self, Malformed> {
        Ok(Self {
            id: proto::id("task id", &task.id)?,
            release_id: proto::id("release_id", &task.release_id)?,
            status: required("status", TaskStatus::from_proto(task.status()))?,
            release_name: task.release_name,
            title: task.title,
            order_index: task.order_index,
            assignee: required("assignee", task.assignee)?.try_into()?,
        })
    }
}

/// The task that has to be completed before another one can be started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Blocker {
    /// The error code that a start would get: `TASK_OUT_OF_ORDER` or `DEVELOPER_BUSY`.
    code: String,
    #[serde(flatten)]
    task: TaskReference,
}

impl TryFrom<v1::Blocker> for Blocker {
    type Error = Malformed;

    fn try_from(blocker: v1::Blocker) -> Result<Self, Malformed> {
        Ok(Self {
            code: blocker.code,
            task: required("blocking task", blocker.task)?.try_into()?,
        })
    }
}

/// A task as the caller sees it: whether they could start it, and what blocks it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskView {
    #[serde(flatten)]
    pub(crate) task: Task,
    /// Whether the caller could start it now; `false` for tasks of others.
    can_start: bool,
    /// Why it cannot be started. The task before it is named to everybody; the caller's own task in
    /// process only for tasks of the caller. `null` if nothing blocks it, or it has been started.
    #[schema(required)]
    blocked_by: Option<Blocker>,
}

impl TaskView {
    /// A task with its readiness for the caller.
    pub(crate) fn of(task: v1::Task, readiness: v1::Readiness) -> Result<Self, Malformed> {
        Ok(Self {
            task: task.try_into()?,
            can_start: readiness.can_start,
            blocked_by: readiness.blocked_by.map(Blocker::try_from).transpose()?,
        })
    }

    /// What of it depends on the caller and not only on its release, if anything does.
    pub(super) fn view(&self) -> Option<String> {
        match &self.blocked_by {
            None => self.can_start.then(|| "free".to_owned()),
            Some(by) if by.code == "DEVELOPER_BUSY" => {
                let TaskReference {
                    id,
                    title,
                    release_name,
                    ..
                } = &by.task;
                Some(format!("{id} {title} {release_name}"))
            }
            Some(_) => None,
        }
    }
}

impl TryFrom<v1::MyTask> for TaskView {
    type Error = Malformed;

    fn try_from(mine: v1::MyTask) -> Result<Self, Malformed> {
        let readiness = v1::Readiness {
            can_start: mine.can_start,
            blocked_by: mine.blocked_by,
        };
        Self::of(required("task", mine.task)?, readiness)
    }
}
