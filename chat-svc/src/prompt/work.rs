//! The caller's work, as read with the caller's own token.

use jiff::Timestamp;
use slipway_rpc::access::Role;
use uuid::Uuid;

/// The caller's work, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The caller.
    pub caller: Caller,
    /// When it was read.
    pub now: Timestamp,
    /// The task that the caller is working on.
    pub current: Option<TaskFacts>,
    /// The tasks that the caller has yet to start; those that can start come first.
    pub next: Vec<NextTask>,
    /// The tasks that the caller has completed.
    pub completed: Vec<TaskFacts>,
    /// Whether the caller has more tasks than these.
    pub more_tasks: bool,
    /// The caller's releases, those with open tasks of the caller first: those of their tasks, and
    /// for an administrator all.
    pub releases: Vec<ReleaseFacts>,
    /// Whether the caller has more releases than these.
    pub more_releases: bool,
}

/// The user who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's id.
    pub id: Uuid,
    /// The user's name.
    pub username: String,
    /// The user's role.
    pub role: Role,
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// Not started.
    Todo,
    /// Its owner is working on it.
    InProcess,
    /// Completed.
    Completed,
}

impl TaskState {
    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Todo => "TODO",
            Self::InProcess => "IN_PROCESS",
            Self::Completed => "COMPLETED",
        }
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFacts {
    /// Its id.
    pub id: Uuid,
    /// Its release.
    pub release_id: Uuid,
    /// The release's name.
    pub release: String,
    /// Its title.
    pub title: String,
    /// Its owner's name.
    pub assignee: String,
    /// Its position in the release.
    pub order_index: i64,
    /// Its state.
    pub state: TaskState,
    /// Whether it was added to a completed release.
    pub hotfix: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// When it is due.
    pub due_at: Option<Timestamp>,
}

/// A task that the caller has yet to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextTask {
    /// The task.
    pub task: TaskFacts,
    /// Why it cannot start; `None` if it can.
    pub blocked_by: Option<Blocker>,
}

/// Why a task cannot start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// The task before it is not completed.
    Predecessor(TaskFacts),
    /// The caller is working on another task.
    OwnWork(TaskFacts),
}

impl Blocker {
    /// The task that must be completed first.
    #[must_use]
    pub fn task(&self) -> &TaskFacts {
        match self {
            Self::Predecessor(task) | Self::OwnWork(task) => task,
        }
    }

    /// The error code with which starting it would be refused.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Predecessor(_) => "TASK_OUT_OF_ORDER",
            Self::OwnWork(_) => "DEVELOPER_BUSY",
        }
    }
}

/// A release with its tasks in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseFacts {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its version; may be empty.
    pub version: String,
    /// When it was completed; `None` while it is open.
    pub completed_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its tasks, in order.
    pub tasks: Vec<TaskFacts>,
}

impl ReleaseFacts {
    /// How many of its tasks are completed.
    #[must_use]
    pub fn completed(&self) -> usize {
        let done = |task: &&TaskFacts| task.state == TaskState::Completed;
        self.tasks.iter().filter(done).count()
    }

    /// The first task that is not completed.
    #[must_use]
    pub fn front(&self) -> Option<&TaskFacts> {
        let open = |task: &&TaskFacts| task.state != TaskState::Completed;
        self.tasks.iter().find(open)
    }
}

impl Work {
    /// The release with this id, if it is among these.
    #[must_use]
    pub fn release(&self, id: Uuid) -> Option<&ReleaseFacts> {
        self.releases.iter().find(|release| release.id == id)
    }

    /// All tasks that were read: those of the releases, and the caller's in other releases.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskFacts> {
        let next = self.next.iter().map(|next| &next.task);
        let own = self.current.iter().chain(next).chain(&self.completed);
        let elsewhere = own.filter(|task| self.release(task.release_id).is_none());
        let releases = self.releases.iter();
        releases.flat_map(|release| &release.tasks).chain(elsewhere)
    }
}
