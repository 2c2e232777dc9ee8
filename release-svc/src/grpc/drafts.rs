//! Turns requests into drafts: validates every field, reports all errors together, and looks up
//! all assignees in one query.

use std::collections::HashMap;

use jiff::Timestamp;
use slipway_proto::{
    release::v1::{CreateReleaseRequest, NewTask, new_task::Assignee},
    time::from_proto,
};
use slipway_rpc::{
    access::Role,
    error::{Fault, FieldError},
};
use slipway_runtime::{clock::to_millis, text};

use crate::{
    identity::{User, credentials},
    release::{MAX_TASKS, OrderIndex, ReleaseDraft, TaskDraft, Text, values},
    store::{UserKey, UserStore},
};

/// The draft of a release, if the whole request is valid.
pub(super) async fn release(
    users: &UserStore,
    request: CreateReleaseRequest,
) -> Result<ReleaseDraft, Fault> {
    let mut errors = Errors::default();
    let name = errors.note("name", Text::title(&request.name));
    let description = errors.note("description", Text::description(&request.description));
    let version = errors.note("version", Text::version(&request.version));
    if request.tasks.len() > MAX_TASKS {
        return Err(Fault::invalid_field("tasks", "must be at most 500"));
    }
    let assignees = Assignees::look_up(users, &request.tasks).await?;
    let mut taken = HashMap::new();
    let tasks: Vec<_> = request
        .tasks
        .iter()
        .enumerate()
        .filter_map(|(index, task)| {
            let prefix = format!("tasks[{index}].");
            if let Some(first) = task
                .order_index
                .and_then(|order| taken.insert(order, index))
            {
                let message = format!("is already used by tasks[{first}]");
                errors.push(format!("{prefix}order_index"), message);
            }
            task_draft(&prefix, task, &assignees, &mut errors)
        })
        .collect();
    match (name, description, version) {
        (Some(name), Some(description), Some(version)) if errors.0.is_empty() => Ok(ReleaseDraft {
            name,
            description,
            version,
            tasks,
        }),
        _ => Err(Fault::invalid(errors.0)),
    }
}

/// A plan in normal form, to compare it with another: differences in letter case, blanks and
/// Unicode form do not count.
pub(super) fn comparable(request: &CreateReleaseRequest) -> CreateReleaseRequest {
    let mut plan = request.clone();
    plan.name = text::comparable_line(&plan.name);
    plan.version = text::comparable_line(&plan.version);
    plan.description = text::normal(&plan.description);
    for task in &mut plan.tasks {
        task.title = text::comparable_line(&task.title);
        task.description = text::normal(&task.description);
        if let Some(Assignee::AssigneeUsername(name)) = &mut task.assignee {
            *name = credentials::key(name);
        }
    }
    plan
}

/// The draft of one task, if the whole request is valid.
pub(super) async fn task(users: &UserStore, request: Option<NewTask>) -> Result<TaskDraft, Fault> {
    let request = request.ok_or_else(|| Fault::invalid_field("task", "is required"))?;
    let assignees = Assignees::look_up(users, std::slice::from_ref(&request)).await?;
    let mut errors = Errors::default();
    task_draft("task.", &request, &assignees, &mut errors).ok_or(Fault::invalid(errors.0))
}

fn task_draft(
    prefix: &str,
    task: &NewTask,
    assignees: &Assignees,
    errors: &mut Errors,
) -> Option<TaskDraft> {
    let field = |name: &str| format!("{prefix}{name}");
    let title = errors.note(field("title"), Text::title(&task.title));
    let description = errors.note(field("description"), Text::description(&task.description));
    let named = match task.assignee {
        None => "assignee",
        Some(Assignee::AssigneeId(_)) => "assignee_id",
        Some(Assignee::AssigneeUsername(_)) => "assignee_username",
    };
    let assignee = errors.note(field(named), assignees.developer(task.assignee.as_ref()));
    let order_index = errors.note(
        field("order_index"),
        task.order_index.map(OrderIndex::new).transpose(),
    );
    let due_at = errors.note(
        field("due_at"),
        task.due_at.as_ref().map(due_at).transpose(),
    );
    Some(TaskDraft {
        title: title?,
        description: description?,
        assignee: assignee?.to_ref(),
        order_index: order_index?,
        due_at: due_at?,
        hotfix: task.hotfix,
    })
}

fn due_at(time: &prost_types::Timestamp) -> Result<Timestamp, &'static str> {
    let time = from_proto(*time).map_err(|_| "must be a valid google.protobuf.Timestamp")?;
    values::due_at(to_millis(time))
}

#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn push(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
    }

    fn note<T>(&mut self, field: impl Into<String>, value: Result<T, &str>) -> Option<T> {
        value.map_err(|message| self.push(field, message)).ok()
    }
}

/// The users that the tasks of a request name as assignees.
struct Assignees(Vec<User>);

impl Assignees {
    async fn look_up(users: &UserStore, tasks: &[NewTask]) -> Result<Self, Fault> {
        let mut keys: Vec<UserKey> = Vec::new();
        for assignee in tasks.iter().filter_map(|task| task.assignee.as_ref()) {
            let key = match assignee {
                Assignee::AssigneeId(id) => id.parse().ok().map(UserKey::Id),
                Assignee::AssigneeUsername(name) => Some(UserKey::Username(credentials::key(name))),
            };
            keys.extend(key.filter(|key| !keys.contains(key)));
        }
        Ok(Self(users.find(&keys).await?))
    }

    fn developer(&self, assignee: Option<&Assignee>) -> Result<&User, &'static str> {
        let found = match assignee {
            None => return Err("is required: give assignee_id or assignee_username"),
            Some(Assignee::AssigneeId(id)) => {
                let id = id.parse().ok();
                self.0.iter().find(|user| Some(user.id) == id)
            }
            Some(Assignee::AssigneeUsername(name)) => {
                let key = credentials::key(name);
                self.0.iter().find(|user| user.username.key() == key)
            }
        };
        match found {
            None => Err("is not a user"),
            Some(user) if user.role != Role::Developer => Err("is not a developer"),
            Some(user) => Ok(user),
        }
    }
}
