//! Between rows and the domain's types.

use jiff::Timestamp;
use rusqlite::{Error, Row};
use slipway_rpc::access::Role;
use slipway_sqlite::{from_column, malformed, to_column};

use crate::{
    identity::{Account, Email, User, UserId, UserRef, Username},
    release::{
        OrderIndex, PlacedTask, Release, ReleaseId, ReleaseState, Revision, Task, TaskId,
        TaskState, Text,
    },
    store::{AssignedTask, ReleaseSummary},
};

/// Columns of `tasks`, in the order [`task`] reads them.
pub(super) const TASK: &str = "t.id, t.title, t.description, t.assignee, t.assignee_name, \
     t.order_index, t.status, t.hotfix, t.created_at, t.started_at, t.completed_at, t.due_at";

/// The same of a predecessor, joined as `p`.
pub(super) const PREDECESSOR: &str = "p.id, p.title, p.description, p.assignee, \
     p.assignee_name, p.order_index, p.status, p.hotfix, p.created_at, p.started_at, \
     p.completed_at, p.due_at";

/// Columns for [`placed_task`]: those of [`TASK`] and two of its release, joined as `r`.
pub(super) const PLACED_TASK: &str = "t.id, t.title, t.description, t.assignee, \
     t.assignee_name, t.order_index, t.status, t.hotfix, t.created_at, t.started_at, \
     t.completed_at, t.due_at, t.release_id, r.name";

/// Columns of `releases`, in the order [`summary`] reads them.
pub(super) const RELEASE: &str = "id, revision, name, description, version, completed_at, \
     created_by, created_by_name, created_at, reopened_count, total_tasks, completed_tasks";

/// Columns of `users`, in the order [`account`] reads them.
pub(super) const USER: &str = "id, username, email, role, password_hash, created_at";

#[derive(Debug, thiserror::Error)]
#[error("{0} is no {1}")]
struct Garbled(String, &'static str);

fn id<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> Result<T, Error> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| malformed(Garbled(text, "id")))
}

fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, Error> {
    from_column(row.get(column)?)
}

fn optional_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>, Error> {
    row.get::<_, Option<i64>>(column)?
        .map(from_column)
        .transpose()
}

fn text(row: &Row<'_>, column: usize) -> Result<Text, Error> {
    row.get(column).map(Text::stored)
}

fn user_ref(row: &Row<'_>, id_column: usize, name_column: usize) -> Result<UserRef, Error> {
    Ok(UserRef {
        id: id(row, id_column)?,
        username: row.get(name_column)?,
    })
}

/// The task whose columns begin at `first`.
pub(super) fn task(row: &Row<'_>, first: usize) -> Result<Task, Error> {
    Ok(Task {
        id: id::<TaskId>(row, first)?,
        title: text(row, first + 1)?,
        description: text(row, first + 2)?,
        assignee: user_ref(row, first + 3, first + 4)?,
        order_index: OrderIndex::stored(row.get(first + 5)?),
        state: task_state(row, first + 6)?,
        hotfix: row.get(first + 7)?,
        created_at: time(row, first + 8)?,
        due_at: optional_time(row, first + 11)?,
    })
}

/// The state whose columns are `status`, and three further `started_at` and
/// `completed_at`.
fn task_state(row: &Row<'_>, status: usize) -> Result<TaskState, Error> {
    let times = (
        optional_time(row, status + 3)?,
        optional_time(row, status + 4)?,
    );
    let status: String = row.get(status)?;
    match (status.as_str(), times.0, times.1) {
        ("TODO", None, None) => Ok(TaskState::Todo),
        ("IN_PROCESS", Some(started_at), None) => Ok(TaskState::InProcess { started_at }),
        ("COMPLETED", Some(started_at), Some(completed_at)) => Ok(TaskState::Completed {
            started_at,
            completed_at,
        }),
        _ => Err(malformed(Garbled(status, "state of a task"))),
    }
}

pub(super) fn placed_task(row: &Row<'_>) -> Result<PlacedTask, Error> {
    Ok(PlacedTask {
        task: task(row, 0)?,
        release_id: id::<ReleaseId>(row, 12)?,
        release_name: text(row, 13)?,
    })
}

/// A task with its predecessor, whose columns follow those of [`PLACED_TASK`], if that
/// has to be completed first.
pub(super) fn assigned_task(row: &Row<'_>) -> Result<AssignedTask, Error> {
    let placed = placed_task(row)?;
    let predecessor: Option<String> = row.get(14)?;
    let blocked_by = match predecessor {
        Some(_) if !placed.task.is_completed() => Some(task(row, 14)?),
        _ => None,
    };
    Ok(AssignedTask {
        blocked_by: blocked_by
            .filter(|task| !task.is_completed())
            .map(|task| PlacedTask {
                release_id: placed.release_id,
                release_name: placed.release_name.clone(),
                task,
            }),
        placed,
    })
}

pub(super) fn summary(row: &Row<'_>) -> Result<ReleaseSummary, Error> {
    Ok(ReleaseSummary {
        release: Release {
            id: id(row, 0)?,
            revision: Revision(row.get(1)?),
            name: text(row, 2)?,
            description: text(row, 3)?,
            version: text(row, 4)?,
            state: match optional_time(row, 5)? {
                None => ReleaseState::Open,
                Some(at) => ReleaseState::Completed { at },
            },
            tasks: Vec::new(),
            created_by: user_ref(row, 6, 7)?,
            created_at: time(row, 8)?,
            reopened_count: row.get(9)?,
        },
        total: row.get(10)?,
        completed: row.get(11)?,
    })
}

pub(super) fn account(row: &Row<'_>) -> Result<Account, Error> {
    let role: String = row.get(3)?;
    Ok(Account {
        user: User {
            id: id::<UserId>(row, 0)?,
            username: Username::stored(row.get(1)?),
            email: Email::stored(row.get(2)?),
            role: match role.as_str() {
                "DEVELOPER" => Role::Developer,
                "ADMIN" => Role::Admin,
                _ => return Err(malformed(Garbled(role, "role"))),
            },
            created_at: time(row, 5)?,
        },
        password_hash: row.get(4)?,
    })
}

/// The columns `started_at` and `completed_at` of a state.
pub(super) fn state_times(state: TaskState) -> (Option<i64>, Option<i64>) {
    match state {
        TaskState::Todo => (None, None),
        TaskState::InProcess { started_at } => (Some(to_column(started_at)), None),
        TaskState::Completed {
            started_at,
            completed_at,
        } => (Some(to_column(started_at)), Some(to_column(completed_at))),
    }
}

/// The column `completed_at` of a release.
pub(super) fn completed_at(release: &Release) -> Option<i64> {
    match release.state {
        ReleaseState::Open => None,
        ReleaseState::Completed { at } => Some(to_column(at)),
    }
}
