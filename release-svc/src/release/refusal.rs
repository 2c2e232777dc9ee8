//! The reasons why a command is refused, each with its code, message and facts.

use serde_json::{Value, json};
use slipway_rpc::error::{Fault, Kind};
use slipway_runtime::text::shortened;

use super::{OrderIndex, PlacedTask, ReleaseId, Revision, TaskId, TaskState};
use crate::identity::UserRef;

/// Tasks listed when a release is incomplete; the fact `remaining` has the full count.
const REMAINING_NAMED: usize = 10;

/// Characters of a name in a message that has two names; the fact has the full text.
const IN_A_SENTENCE: usize = 100;

/// A command refused by a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such release.
    #[error("There is no release {0}.")]
    ReleaseNotFound(ReleaseId),
    /// There is no such task.
    #[error("There is no task {0}.")]
    TaskNotFound(TaskId),
    /// Developers can only update tasks assigned to them.
    #[error("The task is assigned to {}; only they can work on it.", .assignee.username)]
    NotAssignee {
        /// The task's owner.
        assignee: UserRef,
    },
    /// The reminder of a task is for its owner.
    #[error(
        "The task is assigned to {}; only they and admins can change its reminder.",
        .assignee.username
    )]
    NotReminded {
        /// The task's owner.
        assignee: UserRef,
    },
    /// The owner of a task may change its reminder; admins may change everything.
    #[error("Only an admin may do this. The owner of a task may change its reminder.")]
    AdminRequired,
    /// Task N cannot be started unless task N-1 is completed.
    #[error("“{}” has to be completed first.", .blocked_by.task.title)]
    OutOfOrder {
        /// The predecessor that is not completed.
        blocked_by: Box<PlacedTask>,
    },
    /// A developer may have one task in process at any moment, on the whole platform.
    #[error(
        "You are already working on “{}” in {}. Complete it first.",
        shortened(.active.task.title.as_str(), IN_A_SENTENCE),
        shortened(.active.release_name.as_str(), IN_A_SENTENCE)
    )]
    DeveloperBusy {
        /// The task in process.
        active: Box<PlacedTask>,
    },
    /// The task's state does not allow this step.
    #[error("{0}")]
    InvalidTransition(&'static str),
    /// Order indexes are unique within a release.
    #[error("Order index {0} is taken by another task of the release.")]
    OrderIndexTaken(OrderIndex),
    /// A started task cannot get a new predecessor.
    #[error("Order index {index} is not above {above}, which is started or completed already.")]
    OrderIndexPassed {
        /// The requested index.
        index: OrderIndex,
        /// The index of the last started task.
        above: OrderIndex,
    },
    /// The release has the maximum of something.
    #[error("{0}")]
    ReleaseFull(Full),
    /// A task cannot be a hotfix, or has to be one.
    #[error("{0}")]
    Hotfix(&'static str),
    /// A task cannot recur like that.
    #[error("The recurrence {0}.")]
    Recurrence(String),
    /// A release is completed only when all its tasks are.
    #[error("{} not completed.", counted(.remaining.len()))]
    ReleaseIncomplete {
        /// The tasks that are not completed, in order.
        remaining: Vec<PlacedTask>,
    },
    /// A release without tasks cannot be completed.
    #[error("The release has no tasks.")]
    ReleaseEmpty,
    /// The owner and the place of a task are fixed once it is started, and it stays.
    #[error(
        "The task is {}. Only a task that is TODO can be reassigned, moved or deleted.",
        .state.name()
    )]
    TaskStarted {
        /// The task's state.
        state: TaskState,
    },
    /// A release of which a task is started stays.
    #[error(
        "“{}” is {}. Only a release whose tasks are all TODO can be deleted.",
        .started.task.title,
        .started.task.state.name()
    )]
    ReleaseStarted {
        /// The first task that is not TODO.
        started: Box<PlacedTask>,
    },
    /// The task is not at the revision that the request is based on.
    #[error("The task was changed meanwhile: it is at revision {}.", .revision.0)]
    TaskChanged {
        /// Its current revision.
        revision: Revision,
    },
    /// The release is not at the revision that the request is based on.
    #[error("The release was changed meanwhile: it is at revision {}.", .revision.0)]
    ReleaseChanged {
        /// Its current revision.
        revision: Revision,
    },
}

/// What a release has the maximum of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Tasks.
    #[error("The release has 500 tasks, and cannot have more.")]
    Tasks,
    /// Text.
    #[error("The release would have more than 3 MiB of text.")]
    Text,
    /// Order indexes: its last task has the highest one.
    #[error(
        "No task can come after the last one, which has the highest order index. Give an order \
         index, or move or delete that task while it is TODO."
    )]
    OrderIndex,
}

fn counted(tasks: usize) -> String {
    match tasks {
        1 => "1 task is".to_owned(),
        count => format!("{count} tasks are"),
    }
}

impl Refusal {
    fn kind_and_code(&self) -> (Kind, &'static str) {
        match self {
            Self::ReleaseNotFound(_) => (Kind::NotFound, "RELEASE_NOT_FOUND"),
            Self::TaskNotFound(_) => (Kind::NotFound, "TASK_NOT_FOUND"),
            Self::NotAssignee { .. } | Self::NotReminded { .. } => {
                (Kind::Forbidden, "NOT_ASSIGNEE")
            }
            Self::AdminRequired => (Kind::Forbidden, "ADMIN_REQUIRED"),
            Self::OutOfOrder { .. } => (Kind::Conflict, "TASK_OUT_OF_ORDER"),
            Self::DeveloperBusy { .. } => (Kind::Conflict, "DEVELOPER_BUSY"),
            Self::InvalidTransition(_) => (Kind::Conflict, "INVALID_TRANSITION"),
            Self::OrderIndexTaken(_) => (Kind::Conflict, "ORDER_INDEX_TAKEN"),
            Self::OrderIndexPassed { .. } => (Kind::Conflict, "ORDER_INDEX_PASSED"),
            Self::ReleaseFull(_) => (Kind::Conflict, "RELEASE_FULL"),
            Self::Hotfix(_) => (Kind::Conflict, "INVALID_HOTFIX"),
            Self::Recurrence(_) => (Kind::Conflict, "INVALID_RECURRENCE"),
            Self::ReleaseIncomplete { .. } => (Kind::Conflict, "RELEASE_INCOMPLETE"),
            Self::ReleaseEmpty => (Kind::Conflict, "RELEASE_EMPTY"),
            Self::TaskStarted { .. } => (Kind::Conflict, "TASK_STARTED"),
            Self::ReleaseStarted { .. } => (Kind::Conflict, "RELEASE_STARTED"),
            Self::TaskChanged { .. } => (Kind::Contended, "TASK_CHANGED"),
            Self::ReleaseChanged { .. } => (Kind::Contended, "RELEASE_CHANGED"),
        }
    }

    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind_and_code().1
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let (kind, code) = refusal.kind_and_code();
        let fault = Fault::new(kind, code, refusal.to_string());
        match refusal {
            Refusal::OutOfOrder { blocked_by } => fault.fact("blockedBy", task(&blocked_by)),
            Refusal::DeveloperBusy { active } => fault.fact("activeTask", task(&active)),
            Refusal::ReleaseStarted { started } => fault.fact("startedTask", task(&started)),
            Refusal::TaskChanged { revision } | Refusal::ReleaseChanged { revision } => {
                fault.fact("revision", revision.0)
            }
            Refusal::ReleaseIncomplete { remaining } => {
                let named: Vec<_> = remaining.iter().take(REMAINING_NAMED).map(task).collect();
                fault
                    .fact("remaining", remaining.len())
                    .fact("remainingTasks", named)
            }
            _ => fault,
        }
    }
}

/// The JSON of a task in a fact.
fn task(placed: &PlacedTask) -> Value {
    let task = &placed.task;
    json!({
        "id": task.id,
        "releaseId": placed.release_id,
        "releaseName": placed.release_name.as_str(),
        "title": task.title.as_str(),
        "orderIndex": task.order_index.get(),
        "status": task.state.name(),
        "assignee": {"id": task.assignee.id, "username": task.assignee.username},
    })
}
