//! What the assistant knows of the caller's work. It was all read with the caller's own
//! token.

use jiff::Timestamp;
use slipway_rpc::access::Role;
use uuid::Uuid;

/// The caller's work, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Whose.
    pub caller: Caller,
    /// When it was read.
    pub now: Timestamp,
    /// The task that the caller is working on.
    pub current: Option<TaskFacts>,
    /// What the caller has still to start, what can be begun first in front.
    pub next: Vec<NextTask>,
    /// The releases that the caller has a part in, what matters most in front. An admin
    /// has a part in every open one.
    pub releases: Vec<ReleaseFacts>,
    /// Whether there are more releases than those.
    pub more_releases: bool,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account's id.
    pub id: Uuid,
    /// Their name.
    pub username: String,
    /// What they may do.
    pub role: Role,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// Not started.
    Todo,
    /// Its owner is at it.
    InProcess,
    /// Done.
    Completed,
}

impl TaskState {
    /// As the API calls it.
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
    /// What is to be done.
    pub title: String,
    /// Whose it is.
    pub assignee: String,
    /// Its place in the release.
    pub order_index: i64,
    /// Where it stands.
    pub state: TaskState,
    /// Whether it was added to a completed release.
    pub hotfix: bool,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// When it is due.
    pub due_at: Option<Timestamp>,
}

/// A task that the caller has still to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextTask {
    /// The task.
    pub task: TaskFacts,
    /// What stands in its way; `None`: it can start.
    pub blocked_by: Option<Blocker>,
}

/// What keeps a task from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// The task before it is not completed.
    Predecessor(TaskFacts),
    /// The caller is working on another task.
    OwnWork(TaskFacts),
}

impl Blocker {
    /// The task to be finished first.
    #[must_use]
    pub fn task(&self) -> &TaskFacts {
        match self {
            Self::Predecessor(task) | Self::OwnWork(task) => task,
        }
    }

    /// The code with which starting would be refused.
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
    /// When it was declared done; `None`: it is open.
    pub completed_at: Option<Timestamp>,
    /// When it was planned.
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

    /// The first task that is not completed: where the release stands.
    #[must_use]
    pub fn front(&self) -> Option<&TaskFacts> {
        let open = |task: &&TaskFacts| task.state != TaskState::Completed;
        self.tasks.iter().find(open)
    }
}

impl Work {
    /// The release of this id, if it is known.
    #[must_use]
    pub fn release(&self, id: Uuid) -> Option<&ReleaseFacts> {
        self.releases.iter().find(|release| release.id == id)
    }
}
