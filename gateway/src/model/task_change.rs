//! Changes of tasks.

use jiff::Timestamp;
use serde::Deserialize;
use slipway_proto::release::v1::{
    PauseTaskRequest, TaskTags, UpdateTaskRequest,
    update_task_request::{Assignee, Due, Reminder, Series},
};
use slipway_rpc::error::Fault;
use utoipa::ToSchema;

use super::{
    Id,
    proto::to_proto,
    recurrence::NewRecurrence,
    task::{LAST_ORDER_INDEX, MAX_REMINDER, TaskPriority, minutes},
};
use crate::extract::{clearable, clearable_time, clearable_whole, given, given_whole};

/// A change of a task. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TaskChange {
    #[serde(default, deserialize_with = "given")]
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    title: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 8000, nullable = false)]
    description: Option<String>,
    /// Id of the developer who owns it from now on. Only while it is TODO.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    assignee_id: Option<Id>,
    /// The same by username; not both.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    assignee: Option<String>,
    /// A free number above the order index of every started task. Only while it is TODO.
    #[serde(default, deserialize_with = "given_whole::<LAST_ORDER_INDEX, _>")]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64, nullable = false)]
    order_index: Option<i64>,
    /// When it is due, in the years 2000 to 2200; `null`: it has no due time any more.
    #[serde(default, deserialize_with = "clearable_time")]
    #[schema(value_type = Option<Timestamp>)]
    due_at: Option<Option<Timestamp>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    priority: Option<TaskPriority>,
    /// All tags that it shall have, each of 1 to 50 characters. Stored in lower case.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_items = 20, nullable = false)]
    tags: Option<Vec<String>>,
    /// How many minutes before `dueAt` its assignee is reminded, at most 30 days; `null`: not at
    /// all.
    #[serde(default, deserialize_with = "clearable_whole::<MAX_REMINDER, _>")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 43200)]
    remind_before_minutes: Option<Option<i64>>,
    /// `null`: it does not recur any more. With another rule or time zone, or with another `dueAt` in
    /// the same request, a new series starts at `dueAt`. A new `dueAt` alone moves only this
    /// occurrence.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<NewRecurrence>)]
    recurrence: Option<Option<NewRecurrence>>,
}

impl TaskChange {
    /// The request that changes this task, at any revision.
    pub(crate) fn of(self, task: Id) -> Result<UpdateTaskRequest, Fault> {
        let assignee = match (self.assignee_id, self.assignee) {
            (None, None) => None,
            (Some(id), None) => Some(Assignee::AssigneeId(id.to_string())),
            (None, Some(username)) => Some(Assignee::AssigneeUsername(username)),
            (Some(_), Some(_)) => {
                let rule = "and assigneeId must not both be given";
                return Err(Fault::invalid_field("assignee", rule));
            }
        };
        Ok(UpdateTaskRequest {
            id: task.to_string(),
            title: self.title,
            description: self.description,
            assignee,
            order_index: self.order_index,
            due: self.due_at.map(|due| match due {
                Some(time) => Due::DueAt(to_proto(time)),
                None => Due::NoDueAt(()),
            }),
            revision: 0,
            priority: TaskPriority::number(self.priority),
            tags: self.tags.map(|tags| TaskTags { tags }),
            reminder: self.remind_before_minutes.map(|before| match before {
                Some(before) => Reminder::RemindBeforeMinutes(minutes(before)),
                None => Reminder::NoReminder(()),
            }),
            series: self.recurrence.map(|recurrence| match recurrence {
                Some(recurrence) => Series::Recurrence(recurrence.into()),
                None => Series::NoRecurrence(()),
            }),
        })
    }
}

/// Why a started task is handed back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pause {
    /// For the others.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

impl Pause {
    /// The request that pauses this task.
    pub(crate) fn of(self, task: Id) -> PauseTaskRequest {
        PauseTaskRequest {
            id: task.to_string(),
            reason: self.reason,
        }
    }
}
