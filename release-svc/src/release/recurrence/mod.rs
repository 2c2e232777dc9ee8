//! Recurring tasks: when one is completed, the next occurrence of its series follows.
//!
//! A series is a rule ([`rule`]), a time zone and a start: the due time of its first task. Its dates
//! depend on nothing else, so neither a late completion nor a moved due time shifts them. Dates that
//! have passed when a task is completed are left out. They count for COUNT, as in a calendar.
//!
//! The next occurrence goes to the end of the same release. If the recurrence names another release,
//! it goes there once all tasks of this one are completed, so that this release can be completed.
//! If the release that it has to go to is not open, the series ends: no release is reopened by it.
//!
//! Whether a completed task has been followed is stored with it ([`Next`]), in the write that
//! follows it. So it is followed once, however often its completion is reported. Another release is
//! another aggregate: the decision for it is stored before the occurrence is added there, and the
//! id of the occurrence with it.

pub mod rule;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_runtime::zone::Zone;

pub use rule::{NotARule, Rule};

use super::{
    Decision, Refusal, Release, ReleaseEvent, ReleaseId, Task, TaskDraft, TaskId, TaskState,
};

/// Why a task without a due time does not recur.
const NEEDS_DUE: &str = "needs a due time, at which its series starts";

/// How a task recurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recurrence {
    /// The rule of the series.
    pub rule: Rule,
    /// Where its days and times of day are.
    pub time_zone: Zone,
    /// The release that gets the next occurrence once all tasks of this one are completed.
    pub release: Option<ReleaseId>,
    /// When the first task of the series was due.
    pub start: Timestamp,
    /// The date of this occurrence. The task is due then, unless its due time was changed.
    pub date: Timestamp,
    /// What follows the task, once it is completed and that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// What follows a completed task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Next {
    /// The next occurrence has been added.
    Added,
    /// The next occurrence is to be added to another release, unless it has been.
    Elsewhere {
        /// That release.
        release: ReleaseId,
        /// The id of the occurrence.
        task: TaskId,
    },
    /// Nothing: the series has ended.
    Nothing,
}

/// Why a series ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesEnd {
    /// The rule has no further date.
    RuleExhausted,
    /// The release that would get the next occurrence is completed.
    ReleaseCompleted,
    /// The release that would get the next occurrence does not exist any more.
    ReleaseDeleted,
    /// The owner has no account any more, or is no developer.
    OwnerGone,
}

/// A recurrence that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecurrenceDraft {
    /// The rule.
    pub rule: Rule,
    /// The time zone.
    pub time_zone: Zone,
    /// See [`Recurrence::release`].
    pub release: Option<ReleaseId>,
}

/// Where the next occurrence goes.
enum Following {
    /// To the end of the same release.
    Here(Box<TaskDraft>),
    /// To this release.
    In(ReleaseId),
}

/// What a release cannot know of the next occurrence of one of its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether the task's owner is a developer with an account.
    pub has_owner: bool,
    /// Whether the release that the recurrence names is open; `None` if it does not exist.
    pub named_is_open: Option<bool>,
}

impl RecurrenceDraft {
    /// The first occurrence of the series, which is due at `start`.
    ///
    /// # Errors
    /// If the rule has no date after that.
    pub fn starting(self, start: Timestamp) -> Result<Recurrence, NotARule> {
        let recurrence = Recurrence {
            rule: self.rule,
            time_zone: self.time_zone,
            release: self.release,
            start,
            date: start,
            next: None,
        };
        match recurrence.date_after(start)? {
            Some(_) => Ok(recurrence),
            None => Err(NotARule::new("has no date after the first due time")),
        }
    }
}

impl From<NotARule> for Refusal {
    fn from(wrong: NotARule) -> Self {
        Self::Recurrence(wrong.to_string())
    }
}

impl Recurrence {
    /// The first date of the series after that of this occurrence and after `time`.
    ///
    /// # Errors
    /// If the rule cannot be used.
    pub fn date_after(&self, time: Timestamp) -> Result<Option<Timestamp>, NotARule> {
        let time = time.max(self.date);
        let start = self.time_zone.rules().to_datetime(self.start);
        let mut dates = self.rule.dates_after(start, &self.time_zone)?;
        Ok(dates.find(|date| *date > time))
    }

    /// The length of its texts in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.rule.as_str().len() + self.time_zone.name().len()
    }

    /// Whether it is the series that is asked for.
    pub(super) fn is_of(&self, draft: &RecurrenceDraft) -> bool {
        self.rule == draft.rule && self.time_zone == draft.time_zone
    }
}

impl Release {
    /// Decides what follows a completed task that recurs, unless that is decided: adds the next
    /// occurrence, or determines the other release that gets it, or ends the series.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], [`Refusal::Recurrence`] if the rule cannot be used,
    /// [`Refusal::ReleaseFull`].
    pub fn recur(
        &self,
        task: TaskId,
        surroundings: Surroundings,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let index = self.index_of(task)?;
        let Some(recurrence) = self.tasks[index].to_be_followed() else {
            return Ok(Decision::unchanged(self));
        };
        let mut release = self.clone();
        release.revision = self.revision.next();
        let mut events = Vec::new();
        let next = match self.following(&self.tasks[index], recurrence, surroundings)? {
            Ok(Following::Here(draft)) => {
                let added = release.insert(*draft, now)?;
                events.extend([ReleaseEvent::TaskCreated(added), release.assignment(added)]);
                Next::Added
            }
            Ok(Following::In(other)) => Next::Elsewhere {
                release: other,
                task: TaskId::generate(),
            },
            Err(why) => {
                events.push(ReleaseEvent::RecurrenceEnded { task, why });
                Next::Nothing
            }
        };
        release.follow(task, next);
        Ok(Decision::new(Some(self), release, events))
    }

    fn following(
        &self,
        task: &Task,
        recurrence: &Recurrence,
        surroundings: Surroundings,
    ) -> Result<Result<Following, SeriesEnd>, Refusal> {
        if !surroundings.has_owner {
            return Ok(Err(SeriesEnd::OwnerGone));
        }
        let Some(draft) = task.next_occurrence(self.id)? else {
            return Ok(Err(SeriesEnd::RuleExhausted));
        };
        let is_done = self.tasks.iter().all(Task::is_completed);
        Ok(match (recurrence.release, surroundings.named_is_open) {
            (None, _) if self.is_completed() => Err(SeriesEnd::ReleaseCompleted),
            (Some(other), named) if is_done => match named {
                Some(true) => Ok(Following::In(other)),
                Some(false) => Err(SeriesEnd::ReleaseCompleted),
                None => Err(SeriesEnd::ReleaseDeleted),
            },
            _ => Ok(Following::Here(Box::new(draft))),
        })
    }

    /// Adds the occurrence that follows a task of another release, unless it has been added.
    ///
    /// # Errors
    /// [`Refusal::Hotfix`] if the release is completed, [`Refusal::ReleaseFull`].
    pub fn add_occurrence(
        &self,
        id: TaskId,
        draft: TaskDraft,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        if self.task(id).is_some() {
            return Ok(Decision::unchanged(self));
        }
        let mut release = self.clone();
        release.revision = self.revision.next();
        release.insert_as(id, draft, now)?;
        let events = vec![ReleaseEvent::TaskCreated(id), release.assignment(id)];
        Ok(Decision::new(Some(self), release, events))
    }

    /// Concludes [`Next::Elsewhere`]: the other release got the occurrence, or the series ends.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`].
    pub fn conclude(
        &self,
        task: TaskId,
        outcome: Result<(), SeriesEnd>,
    ) -> Result<Decision, Refusal> {
        let index = self.index_of(task)?;
        let next = self.tasks[index].recurrence.as_ref().and_then(|r| r.next);
        if !matches!(next, Some(Next::Elsewhere { .. })) {
            return Ok(Decision::unchanged(self));
        }
        let mut release = self.clone();
        release.revision = self.revision.next();
        let events = match outcome {
            Ok(()) => {
                release.follow(task, Next::Added);
                Vec::new()
            }
            Err(why) => {
                release.follow(task, Next::Nothing);
                vec![ReleaseEvent::RecurrenceEnded { task, why }]
            }
        };
        Ok(Decision::new(Some(self), release, events))
    }

    /// Whether one of its tasks is completed and will be followed by another one here.
    pub(super) fn expects_an_occurrence(&self) -> bool {
        let mut to_be_followed = self.tasks.iter().filter_map(Task::to_be_followed);
        to_be_followed.any(|recurrence| recurrence.release.is_none())
    }

    fn follow(&mut self, id: TaskId, next: Next) {
        let task = self.tasks.iter_mut().find(|task| task.id == id);
        if let Some(recurrence) = task.and_then(|task| task.recurrence.as_mut()) {
            recurrence.next = Some(next);
        }
    }
}

impl Task {
    /// Changes its recurrence; `before` is the task before this change of other fields, `release`
    /// its release.
    pub(super) fn recur_by(
        &mut self,
        before: &Self,
        change: Option<Option<RecurrenceDraft>>,
        release: ReleaseId,
    ) -> Result<(), Refusal> {
        let refused = |why: &str| Err(Refusal::Recurrence(why.to_owned()));
        match change {
            None => {}
            Some(None) => self.recurrence = None,
            Some(Some(_)) if self.is_completed() => {
                return refused("cannot be set: the task is completed");
            }
            Some(Some(draft)) if draft.release == Some(release) => {
                return refused("must name another release than that of the task");
            }
            Some(Some(draft)) => match (&mut self.recurrence, self.due_at) {
                (Some(known), due) if known.is_of(&draft) && due == before.due_at => {
                    known.release = draft.release;
                }
                (known, Some(due)) => {
                    let starting = draft.starting(due)?;
                    *known = Some(Box::new(starting));
                }
                (_, None) => return refused(NEEDS_DUE),
            },
        }
        match self.recurrence.is_some() && self.due_at.is_none() {
            true => refused(NEEDS_DUE),
            false => Ok(()),
        }
    }

    /// Its recurrence, if it is completed and what follows it is not decided.
    #[must_use]
    pub fn to_be_followed(&self) -> Option<&Recurrence> {
        let recurrence = self.recurrence.as_deref().filter(|r| r.next.is_none());
        recurrence.filter(|_| self.is_completed())
    }

    /// The next occurrence of this completed task, to be added to `release`; `None` if its series
    /// has no further date.
    ///
    /// # Errors
    /// [`Refusal::Recurrence`] if the rule cannot be used.
    pub fn next_occurrence(&self, release: ReleaseId) -> Result<Option<TaskDraft>, Refusal> {
        let (Some(recurrence), TaskState::Completed { completed_at, .. }) =
            (&self.recurrence, self.state)
        else {
            return Ok(None);
        };
        let done = self
            .due_at
            .map_or(completed_at, |due| due.max(completed_at));
        let date = recurrence.date_after(done);
        Ok(date?.map(|date| TaskDraft {
            title: self.title.clone(),
            description: self.description.clone(),
            assignee: self.assignee.clone(),
            order_index: None,
            due_at: Some(date),
            hotfix: Some(false),
            priority: self.priority,
            tags: self.tags.clone(),
            remind_before: self.remind_before,
            recurrence: Some(Recurrence {
                // A release is not followed by itself.
                release: recurrence.release.filter(|other| *other != release),
                date,
                next: None,
                ..recurrence.as_ref().clone()
            }),
        }))
    }
}
