//! Tasks.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::release::v1::{self, new_task::Assignee};
use slipway_rpc::error::Fault;
use utoipa::{IntoParams, ToSchema};

use super::{
    Id, Malformed, Paging, UserRef,
    proto::{self, required},
};
use crate::extract::{parsed, time, whole};

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

    fn to_proto(self) -> v1::TaskStatus {
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
}

impl TryFrom<v1::Task> for Task {
    type Error = Malformed;

    fn try_from(task: v1::Task) -> Result<Self, Malformed> {
        Ok(Self {
            id: proto::id("task id", &task.id)?,
            release_id: proto::id("release_id", &task.release_id)?,
            status: required("status", TaskStatus::from_proto(task.status()))?,
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
        })
    }
}

/// The greatest `orderIndex`: the limit of release-svc.
const LAST_ORDER_INDEX: i64 = 9_007_199_254_740_991;

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

/// One of the caller's tasks, with its blocker.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MyTask {
    #[serde(flatten)]
    task: Task,
    /// Whether it could be started now.
    can_start: bool,
    /// Why it cannot be started; `null` if it can be, or has been started.
    #[schema(required)]
    blocked_by: Option<Blocker>,
}

impl TryFrom<v1::MyTask> for MyTask {
    type Error = Malformed;

    fn try_from(mine: v1::MyTask) -> Result<Self, Malformed> {
        Ok(Self {
            task: required("task", mine.task)?.try_into()?,
            can_start: mine.can_start,
            blocked_by: mine.blocked_by.map(Blocker::try_from).transpose()?,
        })
    }
}

/// The parameters of the list of the caller's tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MyTasksQuery {
    /// Only tasks in this state.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    status: Option<TaskStatus>,
}

impl MyTasksQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListMyTasksRequest {
        let status = self.status.map(TaskStatus::to_proto);
        v1::ListMyTasksRequest {
            status: status.unwrap_or(v1::TaskStatus::Unspecified).into(),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}
