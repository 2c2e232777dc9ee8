//! What happens to a release when time passes: tasks that are in process for too long are reported,
//! and owners are reminded of their tasks.

use jiff::{SignedDuration, Timestamp};

use super::{Decision, Release, ReleaseEvent, Task, TaskState};

/// When a task in process is reported as stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleRule {
    /// How long after its start.
    pub after: SignedDuration,
    /// How long after each report it is reported again. More than zero.
    pub repeat: SignedDuration,
}

impl StaleRule {
    /// When a task that is started now is reported.
    #[must_use]
    pub fn first(&self, started_at: Timestamp) -> Timestamp {
        started_at
            .saturating_add(self.after)
            .unwrap_or(Timestamp::MAX)
    }

    /// When a task that was to be reported at `due`, and is reported now, is reported again: at the
    /// same pace, also if reports were missed.
    fn next(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        let repeat = self.repeat.as_millis().max(1);
        let until = repeat - now.duration_since(due).as_millis() % repeat;
        let until = SignedDuration::from_millis(i64::try_from(until).unwrap_or(i64::MAX));
        now.saturating_add(until).unwrap_or(Timestamp::MAX)
    }
}

impl Release {
    /// When [`Self::pass_time`] is to be called next.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.tasks.iter().filter_map(Task::next_at).min()
    }

    /// Does what is due, each once, however late it is: reports tasks that are in process for too
    /// long, and reminds owners of their tasks. `None` if nothing is due.
    #[must_use]
    pub fn pass_time(&self, now: Timestamp, rule: StaleRule) -> Option<Decision> {
        let mut release = self.clone();
        let mut events = Vec::new();
        for task in &mut release.tasks {
            if task.pending_reminder().is_some_and(|at| at <= now) {
                task.reminder = None;
                events.push(ReleaseEvent::TaskReminderDue(task.id));
            }
            if let TaskState::InProcess { stale_at, .. } = &mut task.state
                && let Some(due) = stale_at.filter(|due| *due <= now)
            {
                *stale_at = Some(rule.next(due, now));
                events.push(ReleaseEvent::TaskStale(task.id));
            }
        }
        if events.is_empty() {
            return None;
        }
        release.revision = self.revision.next();
        Some(Decision::new(Some(self), release, events))
    }
}

impl Task {
    /// Sets when its owner is reminded, by its due time. A time that has passed already is not made
    /// up for: whoever set it knows when the task is due.
    pub(super) fn set_reminder(&mut self, now: Timestamp) {
        self.reminder = self.remind_at().filter(|at| *at > now);
    }

    /// When its owner is to be reminded, unless it is completed by then.
    fn pending_reminder(&self) -> Option<Timestamp> {
        self.reminder.filter(|_| !self.is_completed())
    }

    /// When something is due on it next.
    fn next_at(&self) -> Option<Timestamp> {
        let stale_at = match self.state {
            TaskState::InProcess { stale_at, .. } => stale_at,
            TaskState::Todo | TaskState::Completed { .. } => None,
        };
        self.pending_reminder().into_iter().chain(stale_at).min()
    }
}
