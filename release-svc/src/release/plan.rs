//! Planning commands: create a release, add a task, add a hotfix.

use jiff::Timestamp;

use super::{
    Decision, Full, MAX_TASKS, MAX_TEXT, OrderIndex, Priority, Recurrence, Refusal, Release,
    ReleaseEvent, ReleaseId, ReleaseState, RemindBefore, Revision, Tags, Task, TaskId, TaskState,
    Text,
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
    /// Its place; after the last task by default.
    pub order_index: Option<OrderIndex>,
    /// When it is due.
    pub due_at: Option<Timestamp>,
    /// Whether it is a hotfix; `None` leaves the choice to the release.
    pub hotfix: Option<bool>,
    /// How important it is.
    pub priority: Priority,
    /// Its tags.
    pub tags: Tags,
    /// How long before it is due its owner is reminded.
    pub remind_before: Option<RemindBefore>,
    /// How it recurs; then it has a due time.
    pub recurrence: Option<Recurrence>,
}

impl Release {
    /// Plans a release, with its first tasks if there are any.
    ///
    /// # Errors
    /// As for [`Release::add_task`], for any of the tasks.
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
            deleted_at: None,
        };
        let mut events = vec![ReleaseEvent::Created];
        for task in draft.tasks {
            let id = release.insert(task, now)?;
            events.extend([
                ReleaseEvent::TaskCreated(id),
                ReleaseEvent::TaskAssigned(id),
            ]);
        }
        Ok(Decision::new(None, release, events))
    }

    /// Adds a task. On a completed release the task is a hotfix and the release reopens. On a
    /// reopened release the task is a hotfix unless the draft sets `hotfix` to `false`. A hotfix
    /// gets [`ReleaseEvent::HotfixAdded`] instead of [`ReleaseEvent::TaskAssigned`], so that the
    /// owner is notified once.
    ///
    /// # Errors
    /// [`Refusal::Hotfix`], [`Refusal::OrderIndexTaken`], [`Refusal::OrderIndexPassed`],
    /// [`Refusal::ReleaseFull`].
    pub fn add_task(&self, draft: TaskDraft, now: Timestamp) -> Result<Decision, Refusal> {
        let mut release = self.clone();
        release.revision = self.revision.next();
        let id = release.insert(draft, now)?;
        let mut events = Vec::new();
        if self.is_completed() {
            release.state = ReleaseState::Open;
            release.reopened_count += 1;
            events.push(ReleaseEvent::Reopened);
        }
        events.push(ReleaseEvent::TaskCreated(id));
        events.push(release.assignment(id));
        Ok(Decision::new(Some(self), release, events))
    }

    /// The event that tells the owner of a task that it is theirs.
    pub(super) fn assignment(&self, id: TaskId) -> ReleaseEvent {
        match self.task(id) {
            Some(task) if task.hotfix => ReleaseEvent::HotfixAdded(id),
            _ => ReleaseEvent::TaskAssigned(id),
        }
    }

    /// Whether a task that is added now is a hotfix; `requested` is the draft's value.
    fn is_hotfix(&self, requested: Option<bool>) -> Result<bool, Refusal> {
        let was_completed = self.is_completed() || self.reopened_count > 0;
        match requested {
            Some(true) if !was_completed => Err(Refusal::Hotfix(
                "The release has never been completed: a task of it cannot be a hotfix.",
            )),
            Some(false) if self.is_completed() => Err(Refusal::Hotfix(
                "The release is completed: a task that is added to it is a hotfix.",
            )),
            requested => Ok(requested.unwrap_or(was_completed)),
        }
    }

    /// Inserts a task at its place.
    pub(super) fn insert(&mut self, draft: TaskDraft, now: Timestamp) -> Result<TaskId, Refusal> {
        let id = TaskId::generate();
        self.insert_as(id, draft, now)?;
        Ok(id)
    }

    /// Inserts a task with this id at its place.
    pub(super) fn insert_as(
        &mut self,
        id: TaskId,
        draft: TaskDraft,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let hotfix = self.is_hotfix(draft.hotfix)?;
        let text = draft.title.as_str().len() + draft.description.as_str().len();
        let recurrence = draft.recurrence.as_ref().map_or(0, Recurrence::bytes);
        let text = text + draft.tags.bytes() + recurrence;
        if self.tasks.len() >= MAX_TASKS {
            return Err(Refusal::ReleaseFull(Full::Tasks));
        }
        if self.text() + text > MAX_TEXT {
            return Err(Refusal::ReleaseFull(Full::Text));
        }
        let order_index = match draft.order_index {
            Some(index) => self.free(index)?,
            None => self.after_the_last()?,
        };
        let mut task = Task {
            id,
            title: draft.title,
            description: draft.description,
            assignee: draft.assignee,
            order_index,
            state: TaskState::Todo,
            hotfix,
            created_at: now,
            due_at: draft.due_at,
            revision: self.revision,
            priority: draft.priority,
            tags: draft.tags,
            remind_before: draft.remind_before,
            reminder: None,
            worked_before_ms: 0,
            recurrence: draft.recurrence.map(Box::new),
        };
        task.set_reminder(now);
        self.put(task);
        Ok(())
    }

    /// Puts a task at its place in the order.
    pub(super) fn put(&mut self, task: Task) {
        let place = self
            .tasks
            .partition_point(|other| other.order_index < task.order_index);
        self.tasks.insert(place, task);
    }

    /// The bytes of all its texts and those of its tasks.
    pub(crate) fn text(&self) -> usize {
        let own = [&self.name, &self.description, &self.version];
        let tasks = self.tasks.iter().flat_map(|t| [&t.title, &t.description]);
        let texts = own.into_iter().chain(tasks).map(|t| t.as_str().len());
        let others = self.tasks.iter().map(|task| {
            let recurrence = task.recurrence.as_deref().map_or(0, Recurrence::bytes);
            task.tags.bytes() + recurrence
        });
        texts.chain(others).sum()
    }

    /// `index`, if it is free: no task has it, and no task after it has been started (a started
    /// task must not get a predecessor that is not completed).
    pub(super) fn free(&self, index: OrderIndex) -> Result<OrderIndex, Refusal> {
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

    fn after_the_last(&self) -> Result<OrderIndex, Refusal> {
        match self.tasks.last() {
            None => Ok(OrderIndex::FIRST),
            Some(last) => {
                let next = last.order_index.next();
                next.ok_or(Refusal::ReleaseFull(Full::OrderIndex))
            }
        }
    }
}
