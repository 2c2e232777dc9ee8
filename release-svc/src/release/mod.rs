//! The release aggregate: a release, its tasks, and every rule of the workflow.
//!
//! Pure: no I/O, no async, no clock. A command takes the current release and returns the changed
//! release with its events, or a [`Refusal`]. One rule spans releases and is enforced by the
//! store: a developer has at most one task in process on the whole platform.
//!
//! | rule | where |
//! | --- | --- |
//! | valid titles, names and order indexes | [`values`] |
//! | priorities, tags and reminders | [`details`] |
//! | planning, adding tasks, hotfixes | [`plan`] |
//! | changing and deleting tasks and releases | [`edit`] |
//! | starting, pausing and completing tasks, completing releases | [`workflow`] |
//! | what a developer could start, and what blocks it | [`readiness`] |
//! | tasks in process for too long, reminders | [`timed`] |
//! | recurring tasks | [`recurrence`] |
//! | why something is refused | [`refusal`] |

pub mod details;
pub mod edit;
pub mod events;
pub mod plan;
pub mod readiness;
pub mod recurrence;
pub mod refusal;
pub mod timed;
pub mod values;
pub mod workflow;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_runtime::typed_id;

pub use details::{Priority, RemindBefore, Tags};
pub use edit::{ReleaseChange, TaskChange};
pub use plan::{ReleaseDraft, TaskDraft};
pub use readiness::{Blocker, Readiness};
pub use recurrence::{Recurrence, RecurrenceDraft, Rule, SeriesEnd};
pub use refusal::{Full, Refusal};
pub use timed::StaleRule;
pub use values::{OrderIndex, Revision, Text};

use crate::identity::UserRef;

typed_id!(
    /// Identifies a release.
    ReleaseId
);
typed_id!(
    /// Identifies a task, on the whole platform.
    TaskId
);

/// Tasks that a release may have.
pub const MAX_TASKS: usize = 500;

/// Bytes of text that a release and its tasks may have. Its events and the stored response of
/// the request that plans it repeat the text, and all of that is stored in one document.
pub const MAX_TEXT: usize = 3 * 1024 * 1024;

/// A software delivery milestone: an ordered list of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Its identity.
    pub id: ReleaseId,
    /// Counts its changes, from 1. Every write is conditional on the revision it was based on.
    pub revision: Revision,
    /// 1 to 200 characters.
    pub name: Text,
    /// At most 8,000 characters.
    pub description: Text,
    /// At most 100 characters.
    pub version: Text,
    /// Open or completed.
    pub state: ReleaseState,
    /// In ascending order of their unique order index.
    pub tasks: Vec<Task>,
    /// The admin who planned it.
    pub created_by: UserRef,
    /// When it was planned.
    pub created_at: Timestamp,
    /// How many hotfixes reopened it.
    pub reopened_count: u32,
    /// When it was deleted, if it was. A deleted release has no tasks, is returned by no query and
    /// takes no commands. It stays stored until its events are published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// Whether a release is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ReleaseState {
    /// Not declared done.
    Open,
    /// An admin declared it done; every task is completed.
    Completed {
        /// When.
        at: Timestamp,
    },
}

/// A unit of work with one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its identity.
    pub id: TaskId,
    /// 1 to 200 characters.
    pub title: Text,
    /// At most 8,000 characters.
    pub description: Text,
    /// The developer who owns it.
    pub assignee: UserRef,
    /// Its place in the release.
    pub order_index: OrderIndex,
    /// Its state.
    pub state: TaskState,
    /// Whether it is an urgent task, added to a release that had been completed.
    pub hotfix: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it is due, if it has a due time.
    pub due_at: Option<Timestamp>,
    /// The revision of its release in which it was last changed. Tasks that were stored by earlier
    /// versions have none.
    #[serde(default)]
    pub revision: Revision,
    /// How important it is.
    #[serde(default)]
    pub priority: Priority,
    /// Its tags.
    #[serde(default)]
    pub tags: Tags,
    /// How long before it is due its owner is reminded, if at all.
    #[serde(default)]
    pub remind_before: Option<RemindBefore>,
    /// When its owner is to be reminded. `None`: not at all, or the time has passed.
    #[serde(default)]
    pub reminder: Option<Timestamp>,
    /// Milliseconds of work on it before it was last paused.
    #[serde(default)]
    pub worked_before_ms: i64,
    /// How it recurs, if it does; then it has a due time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<Box<Recurrence>>,
}

/// The state of a task, with its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TaskState {
    /// Assigned, not started.
    Todo,
    /// Its owner is working on it.
    InProcess {
        /// Since when.
        started_at: Timestamp,
        /// When it is reported as stale next; absent in releases stored by earlier versions.
        #[serde(default)]
        stale_at: Option<Timestamp>,
    },
    /// Finished.
    Completed {
        /// When it was started.
        started_at: Timestamp,
        /// When it was finished.
        completed_at: Timestamp,
    },
}

/// A task with the id and the name of its release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedTask {
    /// The release it belongs to.
    pub release_id: ReleaseId,
    /// That release's name.
    pub release_name: Text,
    /// The task.
    pub task: Task,
}

/// The result of a command: the changed release and its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The release after the command, at its next revision.
    pub release: Release,
    /// What happened, in order.
    pub events: Vec<ReleaseEvent>,
}

/// Something that happened to a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseEvent {
    /// It was planned.
    Created,
    /// A hotfix reopened it.
    Reopened,
    /// All its tasks are completed.
    Ready,
    /// It was declared done.
    Completed,
    /// Its name, description or version was changed.
    Updated {
        /// What was changed: the fields by their names in the API.
        changed: Vec<&'static str>,
        /// The release before, without its tasks.
        before: Box<Release>,
    },
    /// It was deleted.
    Deleted,
    /// A task was added.
    TaskCreated(TaskId),
    /// A task was assigned to its owner.
    TaskAssigned(TaskId),
    /// An urgent task was added to a release that had been completed.
    HotfixAdded(TaskId),
    /// A task became the next one to do.
    TaskReady(TaskId),
    /// Work on a task began.
    TaskStarted(TaskId),
    /// A started task was handed back.
    TaskPaused {
        /// The task.
        task: TaskId,
        /// Why.
        reason: Text,
    },
    /// A task was finished.
    TaskCompleted(TaskId),
    /// A task is in process for too long.
    TaskStale(TaskId),
    /// The owner of a task is to be reminded of it.
    TaskReminderDue(TaskId),
    /// A task was changed.
    TaskUpdated {
        /// The task.
        task: TaskId,
        /// What was changed: the fields by their names in the API.
        changed: Vec<&'static str>,
        /// The task before.
        before: Box<Task>,
    },
    /// The series of a task ended with it.
    RecurrenceEnded {
        /// The task, which is completed.
        task: TaskId,
        /// Why.
        why: SeriesEnd,
    },
    /// A task was deleted: this was its last state.
    TaskDeleted(Box<Task>),
}

impl Decision {
    /// The decision that changes `before` into `release` with `events`. Adds
    /// [`ReleaseEvent::TaskReady`] or [`ReleaseEvent::Ready`] if the release now waits for
    /// another step, or for another developer.
    fn new(before: Option<&Release>, release: Release, events: Vec<ReleaseEvent>) -> Self {
        let mut events = events;
        let waits_for = |release: &Release| {
            let owner = release.next_task().map(|next| next.assignee.id);
            release.turn().map(|turn| (turn, owner))
        };
        let now = waits_for(&release);
        if now != before.and_then(waits_for) {
            events.extend(now.map(|(turn, _)| turn));
        }
        Self { release, events }
    }

    /// The decision of a command that changes nothing.
    fn unchanged(release: &Release) -> Self {
        Self {
            release: release.clone(),
            events: Vec::new(),
        }
    }
}

impl Release {
    /// The task with this id, if it belongs to this release.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// The same, with the id and the name of this release.
    #[must_use]
    pub fn placed(&self, id: TaskId) -> Option<PlacedTask> {
        self.task(id).map(|task| self.place(task))
    }

    /// `task`, with the id and the name of this release.
    #[must_use]
    pub fn place(&self, task: &Task) -> PlacedTask {
        PlacedTask {
            release_id: self.id,
            release_name: self.name.clone(),
            task: task.clone(),
        }
    }

    /// The release without its tasks.
    #[must_use]
    pub fn without_tasks(&self) -> Self {
        Self {
            id: self.id,
            revision: self.revision,
            name: self.name.clone(),
            description: self.description.clone(),
            version: self.version.clone(),
            state: self.state,
            tasks: Vec::new(),
            created_by: self.created_by.clone(),
            created_at: self.created_at,
            reopened_count: self.reopened_count,
            deleted_at: self.deleted_at,
        }
    }

    /// How many tasks are completed.
    #[must_use]
    pub fn completed_tasks(&self) -> usize {
        self.tasks.iter().filter(|task| task.is_completed()).count()
    }

    /// Whether it was declared done and has not been reopened since.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        matches!(self.state, ReleaseState::Completed { .. })
    }

    /// Its tasks in process.
    pub fn active_tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks
            .iter()
            .filter(|task| matches!(task.state, TaskState::InProcess { .. }))
    }
}

impl Task {
    /// Whether it is finished.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        matches!(self.state, TaskState::Completed { .. })
    }

    /// Milliseconds of work on it, without those since the start of a task in process.
    #[must_use]
    pub fn worked_ms(&self) -> i64 {
        let last = match self.state {
            TaskState::Completed {
                started_at,
                completed_at,
            } => elapsed_ms(started_at, completed_at),
            TaskState::Todo | TaskState::InProcess { .. } => 0,
        };
        self.worked_before_ms + last
    }

    /// When its owner is reminded that it is due, if at all.
    #[must_use]
    pub fn remind_at(&self) -> Option<Timestamp> {
        let before = self.remind_before?.duration();
        self.due_at?.checked_sub(before).ok()
    }
}

/// Milliseconds from `start` to `end`; none if the clock went back between them.
fn elapsed_ms(start: Timestamp, end: Timestamp) -> i64 {
    (end.as_millisecond() - start.as_millisecond()).max(0)
}
