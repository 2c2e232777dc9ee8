//! What an event changes about notifications that still wait to be sent, in one table: for quiet
//! hours, for a digest, or for the mail server.
//!
//! | event | notifications of earlier events | change |
//! | --- | --- | --- |
//! | `task.deleted` | about the task | withdrawn |
//! | `task.updated` with a new owner | about the task, to the former owner | withdrawn |
//! | `task.updated` with another due date | about the task, to its owner | they say the new one; a reminder is withdrawn unless the new one's time has passed |
//! | `task.started` | that the task is to be started | withdrawn |
//! | `task.paused` | that the task is in process for long | withdrawn |
//! | `task.completed` | that the task is to be started or completed | withdrawn |
//! | `task.ready` | that another task of the release, or the release, is ready | withdrawn |
//! | | that a task of the release was assigned | they say whether it can start now |
//! | `release.completed` | that the release is ready | withdrawn |
//!
//! Notifications of comments stay, except about a deleted task: a comment is still there to be
//! read.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use slipway_bus::Event;
use slipway_proto::events::{
    EventData, EventType, HotfixTaskAddedEvent, Payload as _, ReleaseReadyEvent,
    StaleTaskDetectedEvent, TaskAssignedEvent, TaskData, TaskPausedEvent, TaskReadyEvent,
    TaskReminderDueEvent,
};
use uuid::Uuid;

use super::{Notification, To};

/// Types that tell the owner that they have got a task.
const ASSIGNED: &[&str] = &[TaskAssignedEvent::TYPE, HotfixTaskAddedEvent::TYPE];

/// Types that ask for the start of a task.
const TO_START: &[&str] = &[
    TaskAssignedEvent::TYPE,
    HotfixTaskAddedEvent::TYPE,
    TaskReadyEvent::TYPE,
    TaskPausedEvent::TYPE,
];

/// Types that ask for the start or the completion of a task.
const TO_DO: &[&str] = &[
    TaskAssignedEvent::TYPE,
    HotfixTaskAddedEvent::TYPE,
    TaskReadyEvent::TYPE,
    TaskPausedEvent::TYPE,
    StaleTaskDetectedEvent::TYPE,
    TaskReminderDueEvent::TYPE,
];

/// A change of notifications that wait to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// The release that they are about.
    pub(super) release: Uuid,
    /// Only notifications of events before this one are changed: later ones know of it. The ids of
    /// events are in the order of their time.
    event: Uuid,
    about: About,
    kinds: Kinds,
    /// Only those to this account; `None`: to everybody.
    to: Option<Uuid>,
    change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Task(Uuid),
    /// Another task of the release than this one.
    OtherThan(Uuid),
    /// The release, not one of its tasks.
    Release,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinds {
    All,
    /// Those for the owner of a task.
    OfOwner,
    These(&'static [&'static str]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It is not sent, for this reason.
    Withdraw(&'static str),
    /// It says whether the task can start.
    CanStart(bool),
    /// It says when the task is due; `None`: the task has no due date any more.
    DueAt(Option<Timestamp>),
}

impl Correction {
    /// What an event changes, in this order; nothing for most events.
    #[must_use]
    pub fn by(event: &Event) -> Vec<Self> {
        use EventType as T;
        match EventType::named(&event.event_type) {
            Some(
                T::TaskDeleted
                | T::TaskUpdated
                | T::TaskStarted
                | T::TaskPaused
                | T::TaskCompleted
                | T::TaskReady
                | T::ReleaseCompleted,
            ) => {}
            _ => return Vec::new(),
        }
        let Ok(data) = event.read() else {
            return Vec::new();
        };
        let of_task = |task: &TaskData, kinds, why| Self {
            release: task.release_id,
            event: event.id,
            about: About::Task(task.id),
            kinds,
            to: None,
            change: Change::Withdraw(why),
        };
        match data {
            EventData::TaskDeleted(e) => {
                let why = "TASK_DELETED: the task was deleted before the mail was sent";
                vec![of_task(&e.task, Kinds::All, why)]
            }
            EventData::TaskUpdated(e) => {
                let why = "TASK_REASSIGNED: the task got another owner before the mail was sent";
                let former_owner = e.previous_assignee.into_iter();
                let to_former_owner = former_owner.map(|owner| Self {
                    to: Some(owner.id),
                    ..of_task(&e.task, Kinds::OfOwner, why)
                });
                let is_rescheduled = e.changed.iter().any(|field| field == "dueAt");
                let rescheduled = is_rescheduled.then(|| Self::by_due_date(event, &e.task));
                to_former_owner
                    .chain(rescheduled.into_iter().flatten())
                    .collect()
            }
            EventData::TaskStarted(e) => {
                let why = "TASK_STARTED: the task was started before the mail was sent";
                vec![of_task(&e.task, Kinds::These(TO_START), why)]
            }
            EventData::TaskPaused(e) => {
                let why = "TASK_PAUSED: the task was handed back before the mail was sent";
                let stale = Kinds::These(&[StaleTaskDetectedEvent::TYPE]);
                vec![of_task(&e.task, stale, why)]
            }
            EventData::TaskCompleted(e) => {
                let why = "TASK_COMPLETED: the task was completed before the mail was sent";
                vec![of_task(&e.task, Kinds::These(TO_DO), why)]
            }
            EventData::TaskReady(e) => Self::by_ready(event.id, &e.task),
            EventData::ReleaseCompleted(e) => {
                let why = "RELEASE_COMPLETED: the release was completed before the mail was sent";
                vec![Self::of_release(event.id, e.release_id, why)]
            }
            _ => Vec::new(),
        }
    }

    /// Only one task of a release can be the next one.
    fn by_ready(event: Uuid, task: &TaskData) -> Vec<Self> {
        let release = task.release_id;
        let of = |about, kinds, change| Self {
            release,
            event,
            about,
            kinds: Kinds::These(kinds),
            to: None,
            change,
        };
        let others = About::OtherThan(task.id);
        let not_next =
            Change::Withdraw("TASK_NOT_NEXT: another task was put first before the mail was sent");
        let not_ready = "RELEASE_NOT_READY: a task was added before the mail was sent";
        vec![
            of(others, &[TaskReadyEvent::TYPE], not_next),
            Self::of_release(event, release, not_ready),
            of(others, ASSIGNED, Change::CanStart(false)),
            of(About::Task(task.id), ASSIGNED, Change::CanStart(true)),
        ]
    }

    /// A reminder is withdrawn only if there will be another one, or none is due: one whose time has
    /// passed is not made up for.
    fn by_due_date(event: &Event, task: &TaskData) -> Vec<Self> {
        let why = "TASK_RESCHEDULED: the task got another due date before the mail was sent";
        let of = |kinds, change| Self {
            release: task.release_id,
            event: event.id,
            about: About::Task(task.id),
            kinds,
            to: None,
            change,
        };
        let before = task.remind_before_minutes.map(i64::from);
        let before = before.map(SignedDuration::from_mins);
        let remind_at = task.due_at.zip(before);
        let remind_at = remind_at.and_then(|(due, before)| due.checked_sub(before).ok());
        let is_missed = remind_at.is_some_and(|at| at <= event.time);
        let reminders = Kinds::These(&[TaskReminderDueEvent::TYPE]);
        let withdrawn = (!is_missed).then(|| of(reminders, Change::Withdraw(why)));
        let due_at = of(Kinds::OfOwner, Change::DueAt(task.due_at));
        withdrawn.into_iter().chain([due_at]).collect()
    }

    fn of_release(event: Uuid, release: Uuid, why: &'static str) -> Self {
        Self {
            release,
            event,
            about: About::Release,
            kinds: Kinds::These(&[ReleaseReadyEvent::TYPE]),
            to: None,
            change: Change::Withdraw(why),
        }
    }

    fn concerns(&self, notification: &Notification) -> bool {
        let (release, task) = (notification.release(), notification.task());
        let kind = notification.kind.as_str();
        let is_about = match self.about {
            About::Task(id) => task == Some(id),
            About::OtherThan(id) => task.is_some_and(|task| task != id),
            About::Release => task.is_none(),
        };
        let is_of_kind = match self.kinds {
            Kinds::All => true,
            Kinds::OfOwner => kind.starts_with("task."),
            Kinds::These(kinds) => kinds.contains(&kind),
        };
        let is_to = self.to.is_none_or(|to| notification.to == To::User(to));
        let is_earlier = notification.event_id < self.event;
        release == Some(self.release) && is_about && is_of_kind && is_to && is_earlier
    }

    fn apply(&self, notification: Notification) -> Notification {
        match self.change {
            Change::Withdraw(why) => notification.suppressed(why),
            Change::CanStart(can_start) => {
                let mut notification = notification;
                if let Some(said) = notification.data.get_mut("canStart") {
                    *said = Value::Bool(can_start);
                }
                notification
            }
            Change::DueAt(due_at) => {
                let mut notification = notification;
                let data = &mut notification.data;
                let is_nested = data.get("task").is_some_and(Value::is_object);
                let task = if is_nested {
                    data.get_mut("task")
                } else {
                    Some(data)
                };
                if let Some(task) = task.and_then(Value::as_object_mut) {
                    match due_at {
                        Some(due_at) => task.insert("dueAt".to_owned(), json!(due_at)),
                        None => task.remove("dueAt"),
                    };
                }
                notification
            }
        }
    }
}

/// The notification after these corrections, oldest first; `None` if it stays as it is.
#[must_use]
pub fn corrected(notification: &Notification, by: &[Correction]) -> Option<Notification> {
    let concerning = by.iter().filter(|one| one.concerns(notification));
    let mut after = notification.clone();
    for correction in concerning {
        if after.state == notification.state {
            after = correction.apply(after);
        }
    }
    (after != *notification).then_some(after)
}

#[cfg(test)]
mod tests;
