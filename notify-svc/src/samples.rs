//! Payloads of events, for the tests of what follows from them.

use jiff::Timestamp;
use slipway_proto::events::{CommentedTask, TaskData, TaskState, UserRef};
use uuid::Uuid;

/// A task of `release` that is not started.
pub(crate) fn task(id: Uuid, release: Uuid, owner: UserRef) -> TaskData {
    TaskData {
        id,
        release_id: release,
        release_name: "Kubernetes 1.31".into(),
        title: "Build".into(),
        description: String::new(),
        assignee: owner,
        order_index: 10,
        status: TaskState::Todo,
        hotfix: false,
        created_at: Timestamp::UNIX_EPOCH,
        started_at: None,
        completed_at: None,
        due_at: None,
        priority: None,
        tags: Vec::new(),
        remind_before_minutes: None,
        recurrence: None,
    }
}

/// The same of a discussion.
pub(crate) fn commented_task(id: Uuid, release: Uuid, owner: UserRef) -> CommentedTask {
    let task = task(id, release, owner);
    CommentedTask {
        id: task.id,
        title: task.title,
        release_id: task.release_id,
        release_name: task.release_name,
        assignee: task.assignee,
    }
}
