//! Workflow commands: start, pause and complete a task, complete a release.

use jiff::Timestamp;

use super::{
    Decision, Refusal, Release, ReleaseEvent, ReleaseState, StaleRule, Task, TaskId, TaskState,
    Text, elapsed_ms,
};
use crate::identity::{By, UserId};

impl TaskState {
    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Todo => "TODO",
            Self::InProcess { .. } => "IN_PROCESS",
            Self::Completed { .. } => "COMPLETED",
        }
    }
}

impl Release {
    /// Moves a task from TODO to IN_PROCESS. Only its assignee may do that, once the predecessor
    /// is completed. The store enforces that the developer has no other task in process. `stale`
    /// determines when it is reported if it is not completed.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], [`Refusal::NotAssignee`],
    /// [`Refusal::InvalidTransition`], [`Refusal::OutOfOrder`].
    pub fn start(
        &self,
        task: TaskId,
        developer: UserId,
        now: Timestamp,
        stale: StaleRule,
    ) -> Result<Decision, Refusal> {
        let index = self.owned(task, developer)?;
        match self.tasks[index].state {
            TaskState::Todo => {}
            TaskState::InProcess { .. } => {
                return Err(Refusal::InvalidTransition(
                    "The task is in process already.",
                ));
            }
            TaskState::Completed { .. } => {
                return Err(Refusal::InvalidTransition("The task is completed already."));
            }
        }
        if let Some(predecessor) = self.unfinished_predecessor(index) {
            return Err(Refusal::OutOfOrder {
                blocked_by: Box::new(self.place(predecessor)),
            });
        }
        let state = TaskState::InProcess {
            started_at: now,
            stale_at: Some(stale.first(now)),
        };
        Ok(self.with_task_state(index, state, ReleaseEvent::TaskStarted(task)))
    }

    /// Moves a task from IN_PROCESS back to TODO. Its assignee and admins may do that. The time
    /// worked on it is kept.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], [`Refusal::NotAssignee`],
    /// [`Refusal::InvalidTransition`].
    pub fn pause(
        &self,
        task: TaskId,
        by: By,
        reason: Text,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let index = match by.is_admin() {
            true => self.index_of(task)?,
            false => self.owned(task, by.user)?,
        };
        let started_at = match self.tasks[index].state {
            TaskState::InProcess { started_at, .. } => started_at,
            TaskState::Todo => {
                return Err(Refusal::InvalidTransition("The task has not been started."));
            }
            TaskState::Completed { .. } => {
                return Err(Refusal::InvalidTransition("The task is completed already."));
            }
        };
        let event = ReleaseEvent::TaskPaused { task, reason };
        let mut decision = self.with_task_state(index, TaskState::Todo, event);
        decision.release.tasks[index].worked_before_ms += elapsed_ms(started_at, now);
        Ok(decision)
    }

    /// Moves a task from IN_PROCESS to COMPLETED. Only its assignee may do that.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], [`Refusal::NotAssignee`],
    /// [`Refusal::InvalidTransition`].
    pub fn complete_task(
        &self,
        task: TaskId,
        developer: UserId,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let index = self.owned(task, developer)?;
        let state = match self.tasks[index].state {
            TaskState::InProcess { started_at, .. } => TaskState::Completed {
                started_at,
                // The clock may have gone back: a task must not end before it began.
                completed_at: now.max(started_at),
            },
            TaskState::Todo => {
                return Err(Refusal::InvalidTransition("The task has not been started."));
            }
            TaskState::Completed { .. } => {
                return Err(Refusal::InvalidTransition("The task is completed already."));
            }
        };
        Ok(self.with_task_state(index, state, ReleaseEvent::TaskCompleted(task)))
    }

    /// Moves the release from OPEN to COMPLETED: it has tasks, and all of them are completed.
    ///
    /// # Errors
    /// [`Refusal::InvalidTransition`], [`Refusal::ReleaseEmpty`],
    /// [`Refusal::ReleaseIncomplete`].
    pub fn complete(&self, now: Timestamp) -> Result<Decision, Refusal> {
        if self.is_completed() {
            return Err(Refusal::InvalidTransition(
                "The release is completed already.",
            ));
        }
        if self.tasks.is_empty() {
            return Err(Refusal::ReleaseEmpty);
        }
        let remaining: Vec<_> = self
            .tasks
            .iter()
            .filter(|task| !task.is_completed())
            .map(|task| self.place(task))
            .collect();
        if !remaining.is_empty() {
            return Err(Refusal::ReleaseIncomplete { remaining });
        }
        let release = Self {
            state: ReleaseState::Completed { at: now },
            revision: self.revision.next(),
            ..self.clone()
        };
        let events = vec![ReleaseEvent::Completed];
        Ok(Decision::new(Some(self), release, events))
    }

    /// The step that the release waits for, as its event: the start of the next task, or, if all
    /// tasks are completed, the completion of the release. `None` if a task is in process, there
    /// are no tasks, the release is completed, or the next occurrence of a task is to be added.
    #[must_use]
    pub fn turn(&self) -> Option<ReleaseEvent> {
        if self.is_completed() || self.tasks.is_empty() {
            return None;
        }
        match self.next_task() {
            None if self.expects_an_occurrence() => None,
            None => Some(ReleaseEvent::Ready),
            Some(next) if next.state == TaskState::Todo => Some(ReleaseEvent::TaskReady(next.id)),
            Some(_) => None,
        }
    }

    /// The first task that is not completed.
    #[must_use]
    pub fn next_task(&self) -> Option<&Task> {
        self.tasks.iter().find(|task| !task.is_completed())
    }

    /// The place of a task that this developer owns.
    pub(super) fn owned(&self, id: TaskId, developer: UserId) -> Result<usize, Refusal> {
        let index = self.index_of(id)?;
        let assignee = &self.tasks[index].assignee;
        if assignee.id != developer {
            return Err(Refusal::NotAssignee {
                assignee: assignee.clone(),
            });
        }
        Ok(index)
    }

    /// The place of a task in [`Self::tasks`].
    pub(super) fn index_of(&self, id: TaskId) -> Result<usize, Refusal> {
        let index = self.tasks.iter().position(|task| task.id == id);
        index.ok_or(Refusal::TaskNotFound(id))
    }

    pub(super) fn unfinished_predecessor(&self, index: usize) -> Option<&Task> {
        let predecessor = self.tasks.get(index.checked_sub(1)?)?;
        (!predecessor.is_completed()).then_some(predecessor)
    }

    fn with_task_state(&self, index: usize, state: TaskState, event: ReleaseEvent) -> Decision {
        let mut release = self.clone();
        release.revision = self.revision.next();
        release.tasks[index].state = state;
        release.tasks[index].revision = release.revision;
        Decision::new(Some(self), release, vec![event])
    }
}
