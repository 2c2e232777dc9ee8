//! Correcting commands: change or delete a task or a release.

use jiff::Timestamp;

use super::{
    Decision, Full, MAX_TEXT, OrderIndex, Priority, RecurrenceDraft, Refusal, Release,
    ReleaseEvent, RemindBefore, Revision, Tags, Task, TaskId, TaskState, Text,
};
use crate::identity::{By, UserRef};

/// A change of a task. A field that is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskChange {
    /// Its title.
    pub title: Option<Text>,
    /// Its description.
    pub description: Option<Text>,
    /// A developer.
    pub assignee: Option<UserRef>,
    /// Its place.
    pub order_index: Option<OrderIndex>,
    /// When it is due; `Some(None)` removes the due time.
    pub due_at: Option<Option<Timestamp>>,
    /// How important it is.
    pub priority: Option<Priority>,
    /// All its tags.
    pub tags: Option<Tags>,
    /// How long before it is due its owner is reminded; `Some(None)`: not at all.
    pub remind_before: Option<Option<RemindBefore>>,
    /// How it recurs; `Some(None)`: not any more.
    pub recurrence: Option<Option<RecurrenceDraft>>,
}

impl TaskChange {
    /// Whether it changes nothing but the reminder.
    fn is_of_reminder(&self) -> bool {
        let reminder = Self {
            remind_before: self.remind_before,
            ..Self::default()
        };
        *self == reminder
    }
}

/// A change of a release. A field that is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseChange {
    /// Its name.
    pub name: Option<Text>,
    /// Its description.
    pub description: Option<Text>,
    /// Its version.
    pub version: Option<Text>,
}

impl Release {
    /// Changes a task. Admins may do that; its owner may change the reminder. Its owner and its
    /// place can be changed while it is TODO; its place must then be free, and behind every task
    /// that is started. `on` is the revision of the task that the change is based on, if the
    /// request has one. A new owner is told like that of a new task.
    ///
    /// A new due time moves this occurrence of a recurring task. With a recurrence in the same
    /// change, and with another rule or time zone, a new series starts at the due time.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], [`Refusal::NotReminded`], [`Refusal::AdminRequired`],
    /// [`Refusal::TaskChanged`], [`Refusal::TaskStarted`], [`Refusal::OrderIndexTaken`],
    /// [`Refusal::OrderIndexPassed`], [`Refusal::Recurrence`], [`Refusal::ReleaseFull`].
    pub fn change_task(
        &self,
        id: TaskId,
        by: By,
        on: Option<Revision>,
        mut change: TaskChange,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        let index = self.index_of(id)?;
        if !by.is_admin() {
            // First: the owner may not do that either.
            if !change.is_of_reminder() {
                return Err(Refusal::AdminRequired);
            }
            let assignee = &self.tasks[index].assignee;
            if assignee.id != by.user {
                let assignee = assignee.clone();
                return Err(Refusal::NotReminded { assignee });
            }
        }
        let before = &self.tasks[index];
        before.is_at(on)?;
        let recurrence = change.recurrence.take();
        let mut after = before.changed_by(change);
        after.recur_by(before, recurrence, self.id)?;
        if after.remind_at() != before.remind_at() {
            after.set_reminder(now);
        }
        let changed = differences(before, &after);
        if changed.is_empty() {
            return Ok(Decision::unchanged(self));
        }
        let is_reassigned = after.assignee != before.assignee;
        let is_moved = after.order_index != before.order_index;
        if is_reassigned || is_moved {
            before.is_todo()?;
        }
        if is_moved {
            self.free(after.order_index)?;
        }
        let mut release = self.clone();
        release.revision = self.revision.next();
        release.tasks.remove(index);
        release.put(Task {
            revision: release.revision,
            ..after
        });
        release.has_room()?;
        let mut events = vec![ReleaseEvent::TaskUpdated {
            task: id,
            changed,
            before: Box::new(before.clone()),
        }];
        if is_reassigned {
            events.push(release.assignment(id));
        }
        Ok(Decision::new(Some(self), release, events))
    }

    /// Deletes a task that is TODO. The others stay where they are. `on` is the revision of the
    /// task that the request is based on, if it has one.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`], [`Refusal::TaskChanged`], [`Refusal::TaskStarted`].
    pub fn delete_task(&self, id: TaskId, on: Option<Revision>) -> Result<Decision, Refusal> {
        let index = self.index_of(id)?;
        self.tasks[index].is_at(on)?;
        self.tasks[index].is_todo()?;
        let mut release = self.clone();
        release.revision = self.revision.next();
        let task = release.tasks.remove(index);
        let events = vec![ReleaseEvent::TaskDeleted(Box::new(task))];
        Ok(Decision::new(Some(self), release, events))
    }

    /// Changes the release itself. `on` is the revision that the change is based on, if the request
    /// has one.
    ///
    /// # Errors
    /// [`Refusal::ReleaseChanged`], [`Refusal::ReleaseFull`].
    pub fn change(&self, on: Option<Revision>, change: ReleaseChange) -> Result<Decision, Refusal> {
        self.is_at(on)?;
        let name = change.name.unwrap_or_else(|| self.name.clone());
        let description = change.description;
        let description = description.unwrap_or_else(|| self.description.clone());
        let version = change.version.unwrap_or_else(|| self.version.clone());
        let changed = named([
            ("name", name != self.name),
            ("description", description != self.description),
            ("version", version != self.version),
        ]);
        if changed.is_empty() {
            return Ok(Decision::unchanged(self));
        }
        let is_renamed = name != self.name;
        let mut release = Self {
            name,
            description,
            version,
            revision: self.revision.next(),
            ..self.clone()
        };
        release.has_room()?;
        if is_renamed {
            // A task is answered with the name of its release.
            for task in &mut release.tasks {
                task.revision = release.revision;
            }
        }
        let before = Box::new(self.without_tasks());
        let events = vec![ReleaseEvent::Updated { changed, before }];
        Ok(Decision::new(Some(self), release, events))
    }

    /// Deletes the release with its tasks, all of which must be TODO. `on` is the revision that the
    /// request is based on, if it has one.
    ///
    /// # Errors
    /// [`Refusal::ReleaseChanged`], [`Refusal::ReleaseStarted`].
    pub fn delete(&self, on: Option<Revision>, now: Timestamp) -> Result<Decision, Refusal> {
        self.is_at(on)?;
        let started = self.tasks.iter().find(|task| task.state != TaskState::Todo);
        if let Some(task) = started {
            let started = Box::new(self.place(task));
            return Err(Refusal::ReleaseStarted { started });
        }
        let release = Self {
            revision: self.revision.next(),
            deleted_at: Some(now),
            ..self.without_tasks()
        };
        let tasks = self.tasks.iter().cloned().map(Box::new);
        let mut events = vec![ReleaseEvent::Deleted];
        events.extend(tasks.map(ReleaseEvent::TaskDeleted));
        Ok(Decision::new(Some(self), release, events))
    }

    fn is_at(&self, on: Option<Revision>) -> Result<(), Refusal> {
        let revision = self.revision;
        match on {
            Some(on) if on != revision => Err(Refusal::ReleaseChanged { revision }),
            _ => Ok(()),
        }
    }

    fn has_room(&self) -> Result<(), Refusal> {
        match self.text() > MAX_TEXT {
            true => Err(Refusal::ReleaseFull(Full::Text)),
            false => Ok(()),
        }
    }
}

impl Task {
    fn is_at(&self, on: Option<Revision>) -> Result<(), Refusal> {
        let revision = self.revision;
        match on {
            Some(on) if on != revision => Err(Refusal::TaskChanged { revision }),
            _ => Ok(()),
        }
    }

    fn is_todo(&self) -> Result<(), Refusal> {
        match self.state {
            TaskState::Todo => Ok(()),
            state => Err(Refusal::TaskStarted { state }),
        }
    }

    fn changed_by(&self, change: TaskChange) -> Self {
        let mut task = self.clone();
        task.title = change.title.unwrap_or(task.title);
        task.description = change.description.unwrap_or(task.description);
        // An owner keeps the name that the task was assigned to.
        let assignee = change.assignee.filter(|new| new.id != task.assignee.id);
        task.assignee = assignee.unwrap_or(task.assignee);
        task.order_index = change.order_index.unwrap_or(task.order_index);
        task.due_at = change.due_at.unwrap_or(task.due_at);
        task.priority = change.priority.unwrap_or(task.priority);
        task.tags = change.tags.unwrap_or(task.tags);
        task.remind_before = change.remind_before.unwrap_or(task.remind_before);
        task
    }
}

/// The fields in which two states of a task differ, by their names in the API.
fn differences(before: &Task, after: &Task) -> Vec<&'static str> {
    named([
        ("title", before.title != after.title),
        ("description", before.description != after.description),
        ("assignee", before.assignee != after.assignee),
        ("orderIndex", before.order_index != after.order_index),
        ("dueAt", before.due_at != after.due_at),
        ("priority", before.priority != after.priority),
        ("tags", before.tags != after.tags),
        (
            "remindBeforeMinutes",
            before.remind_before != after.remind_before,
        ),
        ("recurrence", before.recurrence != after.recurrence),
    ])
}

/// The names that are marked.
fn named<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    let marked = fields.into_iter().filter(|(_, is_marked)| *is_marked);
    marked.map(|(name, _)| name).collect()
}
