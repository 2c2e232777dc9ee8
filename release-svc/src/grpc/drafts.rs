//! Turns requests into drafts and changes: validates every field, reports all errors together, and
//! looks up all assignees in one query.

mod recurrence;

use std::collections::HashMap;

use jiff::Timestamp;
use slipway_proto::{
    release::v1::{
        CreateReleaseRequest, NewTask, TaskPriority, UpdateReleaseRequest, UpdateTaskRequest,
        new_task::Assignee, update_task_request as update,
    },
    time::from_proto,
};
use slipway_rpc::{
    access::Role,
    error::{Fault, FieldError},
};
use slipway_runtime::{clock::to_millis, text};

use self::recurrence::NamedReleases;
use crate::{
    identity::{User, credentials},
    release::{
        MAX_TASKS, OrderIndex, Priority, ReleaseChange, ReleaseDraft, RemindBefore, Rule, Tags,
        TaskChange, TaskDraft, Text, values,
    },
    store::{Stores, UserKey, UserStore},
};

/// The draft of a release, if the whole request is valid.
pub(super) async fn release(
    stores: &Stores,
    request: CreateReleaseRequest,
) -> Result<ReleaseDraft, Fault> {
    let mut errors = Errors::default();
    let name = errors.note("name", Text::title(&request.name));
    let description = errors.note("description", Text::description(&request.description));
    let version = errors.note("version", Text::version(&request.version));
    if request.tasks.len() > MAX_TASKS {
        return Err(Fault::invalid_field("tasks", "must be at most 500"));
    }
    let assignees = request
        .tasks
        .iter()
        .filter_map(|task| task.assignee.as_ref());
    let assignees = Assignees::look_up(&stores.users, assignees).await?;
    let recurrences = request.tasks.iter().filter_map(|t| t.recurrence.as_ref());
    let releases = NamedReleases::look_up(&stores.releases, recurrences).await?;
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
            task_draft(&prefix, task, &assignees, &releases, &mut errors)
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
        task.tags = comparable_tags(&task.tags);
        if let Some(Assignee::AssigneeUsername(name)) = &mut task.assignee {
            *name = username_key(name);
        }
        if let Some(recurrence) = &mut task.recurrence {
            recurrence.rule = Rule::comparable(&recurrence.rule);
        }
    }
    plan
}

fn comparable_tags(tags: &[String]) -> Vec<String> {
    let known = Tags::new(tags.iter().map(String::as_str));
    known.map_or_else(
        |_| tags.to_vec(),
        |tags| tags.iter().map(str::to_owned).collect(),
    )
}

/// The draft of one task, if the whole request is valid.
pub(super) async fn task(stores: &Stores, request: Option<NewTask>) -> Result<TaskDraft, Fault> {
    let request = request.ok_or_else(|| Fault::invalid_field("task", "is required"))?;
    let assignees = Assignees::look_up(&stores.users, &request.assignee).await?;
    let releases = NamedReleases::look_up(&stores.releases, &request.recurrence).await?;
    let mut errors = Errors::default();
    task_draft("task.", &request, &assignees, &releases, &mut errors)
        .ok_or(Fault::invalid(errors.0))
}

fn task_draft(
    prefix: &str,
    task: &NewTask,
    assignees: &Assignees,
    releases: &NamedReleases,
    errors: &mut Errors,
) -> Option<TaskDraft> {
    let field = |name: &str| format!("{prefix}{name}");
    let title = errors.note(field("title"), Text::title(&task.title));
    let description = errors.note(field("description"), Text::description(&task.description));
    let named = field_of(task.assignee.as_ref());
    let assignee = errors.note(field(named), assignees.developer(task.assignee.as_ref()));
    let order_index = errors.note(
        field("order_index"),
        task.order_index.map(OrderIndex::new).transpose(),
    );
    let due_at = errors.note(
        field("due_at"),
        task.due_at.as_ref().map(due_at).transpose(),
    );
    let priority = errors.note(field("priority"), priority(task.priority));
    let tags = errors.note(field("tags"), tags(&task.tags));
    let remind_before = task
        .remind_before_minutes
        .map(RemindBefore::new)
        .transpose();
    let remind_before = errors.note(field("remind_before_minutes"), remind_before);
    let recurrence = task.recurrence.as_ref();
    let recurrence = recurrence.map(|asked| releases.started(prefix, asked, due_at, errors));
    Some(TaskDraft {
        title: title?,
        description: description?,
        assignee: assignee?.to_ref(),
        order_index: order_index?,
        due_at: due_at?,
        hotfix: task.hotfix,
        priority: priority?.unwrap_or_default(),
        tags: tags?,
        remind_before: remind_before?,
        recurrence: recurrence.map_or(Some(None), |valid| valid.map(Some))?,
    })
}

/// The name of the field that has the assignee.
fn field_of(assignee: Option<&Assignee>) -> &'static str {
    match assignee {
        Some(Assignee::AssigneeId(_)) => "assignee_id",
        None | Some(Assignee::AssigneeUsername(_)) => "assignee_username",
    }
}

/// A priority, by its proto number; `None` if it is unspecified.
pub(super) fn priority(number: i32) -> Result<Option<Priority>, &'static str> {
    match TaskPriority::try_from(number) {
        Ok(TaskPriority::Unspecified) => Ok(None),
        Ok(TaskPriority::Low) => Ok(Some(Priority::Low)),
        Ok(TaskPriority::Normal) => Ok(Some(Priority::Normal)),
        Ok(TaskPriority::High) => Ok(Some(Priority::High)),
        Ok(TaskPriority::Urgent) => Ok(Some(Priority::Urgent)),
        Err(_) => Err("must be LOW, NORMAL, HIGH or URGENT"),
    }
}

fn tags(tags: &[String]) -> Result<Tags, &'static str> {
    Tags::new(tags.iter().map(String::as_str))
}

/// The change of a task, if the whole request is valid.
pub(super) async fn task_change(
    stores: &Stores,
    request: UpdateTaskRequest,
) -> Result<TaskChange, Fault> {
    let assignee = request.assignee.map(|assignee| match assignee {
        update::Assignee::AssigneeId(id) => Assignee::AssigneeId(id),
        update::Assignee::AssigneeUsername(name) => Assignee::AssigneeUsername(name),
    });
    let assignees = Assignees::look_up(&stores.users, &assignee).await?;
    let recurrence = request.series.map(|series| match series {
        update::Series::Recurrence(asked) => Some(asked),
        update::Series::NoRecurrence(()) => None,
    });
    let releases = recurrence.iter().flatten();
    let releases = NamedReleases::look_up(&stores.releases, releases).await?;
    let mut errors = Errors::default();
    let title = errors.change("title", request.title.as_deref().map(Text::title));
    let description = request.description.as_deref().map(Text::description);
    let description = errors.change("description", description);
    let named = field_of(assignee.as_ref());
    let assignee = assignee.map(|assignee| assignees.developer(Some(&assignee)));
    let assignee = errors.change(named, assignee);
    let order_index = request.order_index.map(OrderIndex::new);
    let order_index = errors.change("order_index", order_index);
    let due_at = request.due.map(|due| match due {
        update::Due::DueAt(time) => due_at(&time).map(Some),
        update::Due::NoDueAt(()) => Ok(None),
    });
    let priority = errors.note("priority", priority(request.priority));
    let tags = request.tags.map(|all| tags(&all.tags));
    let remind_before = request.reminder.map(|reminder| match reminder {
        update::Reminder::RemindBeforeMinutes(minutes) => RemindBefore::new(minutes).map(Some),
        update::Reminder::NoReminder(()) => Ok(None),
    });
    let recurrence =
        recurrence.map(|asked| asked.and_then(|asked| releases.draft("", &asked, &mut errors)));
    let change = TaskChange {
        title,
        description,
        assignee: assignee.map(User::to_ref),
        order_index,
        due_at: errors.change("due_at", due_at),
        priority: priority.flatten(),
        tags: errors.change("tags", tags),
        remind_before: errors.change("remind_before_minutes", remind_before),
        recurrence,
    };
    errors.none().map(|()| change)
}

/// The change of a release, if the whole request is valid.
pub(super) fn release_change(request: &UpdateReleaseRequest) -> Result<ReleaseChange, Fault> {
    let mut errors = Errors::default();
    let description = request.description.as_deref().map(Text::description);
    let change = ReleaseChange {
        name: errors.change("name", request.name.as_deref().map(Text::title)),
        description: errors.change("description", description),
        version: errors.change("version", request.version.as_deref().map(Text::version)),
    };
    errors.none().map(|()| change)
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

    fn note<T>(
        &mut self,
        field: impl Into<String>,
        value: Result<T, impl Into<String>>,
    ) -> Option<T> {
        value.map_err(|message| self.push(field, message)).ok()
    }

    /// The new value of a field, if it is to be changed.
    fn change<T>(&mut self, field: &str, value: Option<Result<T, &str>>) -> Option<T> {
        value.and_then(|value| self.note(field, value))
    }

    fn none(self) -> Result<(), Fault> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Fault::invalid(self.0)),
        }
    }
}

const NOT_A_USER: &str = "is not a user";

/// The key of a username that may be written like a mention: `@ada`.
pub(super) fn username_key(name: &str) -> String {
    credentials::key(name.strip_prefix('@').unwrap_or(name))
}

/// What is wrong with a name that no user has.
pub(super) fn not_a_user(name: &str) -> &'static str {
    match name.trim_start_matches('@').contains('@') {
        true => "is not a user: give the username, not the email address",
        false => NOT_A_USER,
    }
}

/// The users that the tasks of a request name as assignees.
struct Assignees(Vec<User>);

impl Assignees {
    async fn look_up<'a>(
        users: &UserStore,
        assignees: impl IntoIterator<Item = &'a Assignee>,
    ) -> Result<Self, Fault> {
        let mut keys: Vec<UserKey> = Vec::new();
        for assignee in assignees {
            let key = match assignee {
                Assignee::AssigneeId(id) => id.parse().ok().map(UserKey::Id),
                Assignee::AssigneeUsername(name) => Some(UserKey::Username(username_key(name))),
            };
            keys.extend(key.filter(|key| !keys.contains(key)));
        }
        Ok(Self(users.find(&keys).await?))
    }

    fn developer(&self, assignee: Option<&Assignee>) -> Result<&User, &'static str> {
        let found = match assignee {
            None => return Err("is required, or assignee_id"),
            Some(Assignee::AssigneeId(id)) => {
                let id = id.parse().ok();
                self.0.iter().find(|user| Some(user.id) == id)
            }
            Some(Assignee::AssigneeUsername(name)) => {
                let key = username_key(name);
                self.0.iter().find(|user| user.username.key() == key)
            }
        };
        match found {
            None => Err(match assignee {
                Some(Assignee::AssigneeUsername(name)) => not_a_user(name),
                _ => NOT_A_USER,
            }),
            Some(user) if user.role != Role::Developer => Err("is not a developer"),
            Some(user) if user.is_disabled() => Err("is disabled"),
            Some(user) => Ok(user),
        }
    }
}
