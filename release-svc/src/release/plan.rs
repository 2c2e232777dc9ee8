//! Planning: a new release, another task, a hotfix.

use jiff::Timestamp;

use super::{
    Decision, MAX_TASKS, MAX_TEXT, OrderIndex, Refusal, Release, ReleaseEvent, ReleaseId,
    ReleaseState, Revision, Task, TaskId, TaskState, Text,
};
use crate::identity::UserRef;

/// A release to be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseDraft {
    /// Its name.
    pub name: Text,
    /// Its description.
    pub description: Text,
    /// Its version.
    pub version: Text,
    /// Its first tasks.
    pub tasks: Vec<TaskDraft>,
}

/// A task to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDraft {
    /// Its title.
    pub title: Text,
    /// Its description.
    pub description: Text,
    /// A developer.
    pub assignee: UserRef,
    /// Its place; behind the last task if it is not said.
    pub order_index: Option<OrderIndex>,
    /// When it is due.
    pub due_at: Option<Timestamp>,
}

impl Release {
    /// Plans a release, with its first tasks if there are any.
    ///
    /// # Errors
    /// As for [`Release::add_task`], of any of the tasks.
    pub fn plan(
        draft: ReleaseDraft,
        created_by: UserRef,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let mut release = Self {
            id: ReleaseId::generate(),
            revision: Revision::FIRST,
            name: draft.name,
            description: draft.description,
            version: draft.version,
            state: ReleaseState::Open,
            tasks: Vec::new(),
            created_by,
            created_at: now,
            reopened_count: 0,
        };
        let mut events = vec![ReleaseEvent::Created];
        for task in draft.tasks {
            let id = release.insert(task, false, now)?;
            events.extend([
                ReleaseEvent::TaskCreated(id),
                ReleaseEvent::TaskAssigned(id),
            ]);
        }
        Ok(Decision { release, events })
    }

    /// Adds a task. On a completed release this is the hotfix: the release reopens, and
    /// the hotfix notice stands for the assignment, so that nobody is told twice.
    ///
    /// # Errors
    /// [`Refusal::OrderIndexTaken`], [`Refusal::OrderIndexPassed`],
    /// [`Refusal::ReleaseFull`].
    pub fn add_task(&self, draft: TaskDraft, now: Timestamp) -> Result<Decision, Refusal> {
        let hotfix = self.is_completed();
        let mut release = self.clone();
        let id = release.insert(draft, hotfix, now)?;
        release.revision = self.revision.next();
        let events = if hotfix {
            release.state = ReleaseState::Open;
            release.reopened_count += 1;
            vec![
                ReleaseEvent::Reopened,
                ReleaseEvent::TaskCreated(id),
                ReleaseEvent::HotfixAdded(id),
            ]
        } else {
            vec![
                ReleaseEvent::TaskCreated(id),
                ReleaseEvent::TaskAssigned(id),
            ]
        };
        Ok(Decision { release, events })
    }

    /// Puts a task in its place.
    fn insert(
        &mut self,
        draft: TaskDraft,
        hotfix: bool,
        now: Timestamp,
    ) -> Result<TaskId, Refusal> {
        let text = self.text() + draft.title.as_str().len() + draft.description.as_str().len();
        if self.tasks.len() >= MAX_TASKS || text > MAX_TEXT {
            return Err(Refusal::ReleaseFull);
        }
        let order_index = match draft.order_index {
            Some(index) => self.free(index)?,
            None => self.behind_the_last()?,
        };
        let task = Task {
            id: TaskId::generate(),
            title: draft.title,
            description: draft.description,
            assignee: draft.assignee,
            order_index,
            state: TaskState::Todo,
            hotfix,
            created_at: now,
            due_at: draft.due_at,
        };
        let id = task.id;
        let place = self
            .tasks
            .partition_point(|other| other.order_index < order_index);
        self.tasks.insert(place, task);
        Ok(id)
    }

    /// The bytes of all that people have written in it.
    fn text(&self) -> usize {
        let own = [&self.name, &self.description, &self.version];
        let tasks = self.tasks.iter().flat_map(|t| [&t.title, &t.description]);
        own.into_iter().chain(tasks).map(|t| t.as_str().len()).sum()
    }

    /// A place is free if no task has it and none behind it has been started: a started
    /// task would get a predecessor that is not completed.
    fn free(&self, index: OrderIndex) -> Result<OrderIndex, Refusal> {
        if self.tasks.iter().any(|task| task.order_index == index) {
            return Err(Refusal::OrderIndexTaken(index));
        }
        let started = self
            .tasks
            .iter()
            .rev()
            .find(|task| task.state != TaskState::Todo);
        match started {
            Some(task) if task.order_index > index => Err(Refusal::OrderIndexPassed {
                index,
                above: task.order_index,
            }),
            _ => Ok(index),
        }
    }

    fn behind_the_last(&self) -> Result<OrderIndex, Refusal> {
        match self.tasks.last() {
            None => Ok(OrderIndex::FIRST),
            Some(last) => last.order_index.next().ok_or(Refusal::ReleaseFull),
        }
    }
}
