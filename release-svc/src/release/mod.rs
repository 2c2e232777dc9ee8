//! A release and its tasks: one aggregate, and every rule of the workflow.
//!
//! Pure: no I/O, no async, no clock. A command takes the release as it is and answers
//! with the release as it becomes and the events that tell of it, or with a
//! [`Refusal`]. The one rule it cannot see alone, that a developer works on one task at a
//! time anywhere, is the store's to enforce.
//!
//! | rule | where |
//! | --- | --- |
//! | what a title, a name, an order index may be | [`values`] |
//! | planning, adding tasks, hotfixes | [`plan`] |
//! | starting and completing tasks, completing releases | [`workflow`] |
//! | why something is refused | [`refusal`] |

pub mod events;
pub mod plan;
pub mod refusal;
pub mod values;
pub mod workflow;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_runtime::typed_id;

pub use plan::{ReleaseDraft, TaskDraft};
pub use refusal::Refusal;
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

/// Tasks a release may have.
pub const MAX_TASKS: usize = 500;

/// Bytes of text in a release, of its own and of its tasks. Its events and the answer to
/// the request that plans it say it again, and all of that is stored in one document.
pub const MAX_TEXT: usize = 3 * 1024 * 1024;

/// A software delivery milestone: an ordered list of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Its identity.
    pub id: ReleaseId,
    /// Counts its changes, from 1: every write names the revision it was made on.
    pub revision: Revision,
    /// 1 to 200 characters.
    pub name: Text,
    /// At most 8,000 characters.
    pub description: Text,
    /// At most 100 characters.
    pub version: Text,
    /// Whether work remains to be done or declared done.
    pub state: ReleaseState,
    /// By ascending, unique order index.
    pub tasks: Vec<Task>,
    /// Who planned it.
    pub created_by: UserRef,
    /// When it was planned.
    pub created_at: Timestamp,
    /// How many hotfixes reopened it.
    pub reopened_count: u32,
}

/// Whether a release is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ReleaseState {
    /// Work goes on.
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
    /// Where it stands.
    pub state: TaskState,
    /// Whether it was added to a release that had been completed, as something urgent.
    pub hotfix: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it is due, if that was said.
    pub due_at: Option<Timestamp>,
}

/// Where a task stands: in exactly one state, with the times that go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TaskState {
    /// Assigned, not started.
    Todo,
    /// Its owner is working on it.
    InProcess {
        /// Since when.
        started_at: Timestamp,
    },
    /// Finished.
    Completed {
        /// When it was started.
        started_at: Timestamp,
        /// When it was finished.
        completed_at: Timestamp,
    },
}

/// A task with what one needs to know of its release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedTask {
    /// The release it belongs to.
    pub release_id: ReleaseId,
    /// That release's name.
    pub release_name: Text,
    /// The task.
    pub task: Task,
}

/// What a command decided: the release as it becomes, and what to tell about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The release after the command, at its next revision.
    pub release: Release,
    /// What happened, in order.
    pub events: Vec<ReleaseEvent>,
}

/// Something that happened to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseEvent {
    /// It was planned.
    Created,
    /// A hotfix reopened it.
    Reopened,
    /// All its tasks are completed.
    Ready,
    /// It was declared done.
    Completed,
    /// A task was added.
    TaskCreated(TaskId),
    /// A task got its owner.
    TaskAssigned(TaskId),
    /// An urgent task was added to a release that had been completed.
    HotfixAdded(TaskId),
    /// A task became the one to be done next.
    TaskReady(TaskId),
    /// Work on a task began.
    TaskStarted(TaskId),
    /// A task was finished.
    TaskCompleted(TaskId),
}

impl Decision {
    /// `before` becomes `release`, because of which `events` happened. If it waits for
    /// something else now, that is told as well.
    fn new(before: Option<&Release>, release: Release, events: Vec<ReleaseEvent>) -> Self {
        let mut events = events;
        let turn = release.turn();
        if turn != before.and_then(Release::turn) {
            events.extend(turn);
        }
        Self { release, events }
    }
}

impl Release {
    /// The task with this id, if it is one of this release's.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// The same, with what one needs to know of this release.
    #[must_use]
    pub fn placed(&self, id: TaskId) -> Option<PlacedTask> {
        self.task(id).map(|task| self.place(task))
    }

    /// `task`, with what one needs to know of this release.
    #[must_use]
    pub fn place(&self, task: &Task) -> PlacedTask {
        PlacedTask {
            release_id: self.id,
            release_name: self.name.clone(),
            task: task.clone(),
        }
    }

    /// The same, as if it had no tasks.
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

    /// The owners of its tasks in process.
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
}
