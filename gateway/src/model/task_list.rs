//! The parameters of lists of tasks.

use jiff::Timestamp;
use serde::Deserialize;
use slipway_proto::release::v1;
use utoipa::IntoParams;

use super::{
    Paging,
    proto::to_proto,
    task::{TaskPriority, TaskStatus},
};
use crate::extract::{filled, parsed, time, trimmed};

/// The parameters of the list of the caller's tasks: all conditions must hold. With any other than
/// `status` a page may have fewer than `limit`, or none, though `nextCursor` leads on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MyTasksQuery {
    /// Only tasks in this state.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    status: Option<TaskStatus>,
    /// Only tasks of this priority.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    priority: Option<TaskPriority>,
    /// Only tasks with this tag, without regard to case.
    #[serde(default, deserialize_with = "filled")]
    #[param(value_type = Option<String>)]
    tag: String,
    /// Only tasks that are due at this time or later.
    #[serde(default, deserialize_with = "time")]
    due_from: Option<Timestamp>,
    /// Only tasks that are due before this time.
    #[serde(default, deserialize_with = "time")]
    due_before: Option<Timestamp>,
    /// Only tasks with this text in the title or the description, without regard to case; at most
    /// 200 characters.
    #[serde(default, deserialize_with = "trimmed")]
    #[param(value_type = Option<String>)]
    q: String,
}

impl MyTasksQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListMyTasksRequest {
        let (status, conditions) = self.conditions();
        v1::ListMyTasksRequest {
            status,
            conditions: Some(conditions),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }

    /// The proto number of the state, and the other conditions.
    fn conditions(self) -> (i32, v1::TaskConditions) {
        let status = self.status.map(TaskStatus::to_proto);
        let conditions = v1::TaskConditions {
            priority: TaskPriority::number(self.priority),
            tag: self.tag,
            due_from: self.due_from.map(to_proto),
            due_before: self.due_before.map(to_proto),
            text: self.q,
        };
        (status.unwrap_or_default().into(), conditions)
    }
}

/// The parameters of the list of all tasks: all conditions must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TasksQuery {
    /// Only tasks of this user: an id or a username.
    #[serde(default, deserialize_with = "filled")]
    #[param(value_type = Option<String>)]
    assignee: String,
    /// Only tasks in this state.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    status: Option<TaskStatus>,
    /// Only tasks of this priority.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    priority: Option<TaskPriority>,
    /// Only tasks with this tag, without regard to case.
    #[serde(default, deserialize_with = "filled")]
    #[param(value_type = Option<String>)]
    tag: String,
    /// Only tasks that are due at this time or later.
    #[serde(default, deserialize_with = "time")]
    due_from: Option<Timestamp>,
    /// Only tasks that are due before this time.
    #[serde(default, deserialize_with = "time")]
    due_before: Option<Timestamp>,
    /// As in `GET /tasks/my`.
    #[serde(default, deserialize_with = "trimmed")]
    #[param(value_type = Option<String>)]
    q: String,
}

impl TasksQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListTasksRequest {
        let own = MyTasksQuery {
            status: self.status,
            priority: self.priority,
            tag: self.tag,
            due_from: self.due_from,
            due_before: self.due_before,
            q: self.q,
        };
        let (status, conditions) = own.conditions();
        v1::ListTasksRequest {
            assignee: self.assignee,
            status,
            conditions: Some(conditions),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}
