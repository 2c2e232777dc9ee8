//! How each type of event reads: one sentence, and whom it concerns.

use slipway_mesh::{
    bus::{Actor, Event},
    text::{clean_line, is_blank},
};
use slipway_proto::events::{
    CommentPostedEvent, CommentRepliedEvent, HotfixTaskAddedEvent, Payload, ReleaseCompletedEvent,
    ReleaseCreatedEvent, ReleaseReadyEvent, ReleaseReopenedEvent, Role, StaleTaskDetectedEvent,
    TaskAssignedEvent, TaskCompletedEvent, TaskCreatedEvent, TaskReadyEvent, TaskReminderDueEvent,
    TaskStartedEvent, UserRegisteredEvent,
};
use uuid::Uuid;

/// An event in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) summary: String,
    pub(super) concerns: Vec<Uuid>,
}

/// The subject of the sentence.
pub(super) struct Who<'a> {
    id: Option<Uuid>,
    name: &'a str,
}

impl<'a> Who<'a> {
    pub(super) fn of(actor: &'a Actor) -> Self {
        match actor {
            Actor::User { id, username } => Self {
                id: Some(*id),
                // A publisher need not send the name.
                name: if is_blank(username) {
                    "Somebody"
                } else {
                    username
                },
            },
            Actor::System => Self {
                id: None,
                name: "Slipway",
            },
        }
    }
}

/// A payload that can be told.
trait Tale: Payload {
    fn tell(&self, who: &Who<'_>) -> Told;
}

/// Tells an event by its type; one of an unknown type, or of another major version of a
/// known one, generically. Names and titles in it cannot turn the rest of the sentence
/// around.
///
/// # Errors
/// If the payload violates the type's schema.
pub(super) fn tell(event: &Event, who: &Who<'_>) -> Result<Told, serde_json::Error> {
    let tell = match event.event_type.as_str() {
        UserRegisteredEvent::TYPE => tell_as::<UserRegisteredEvent>,
        ReleaseCreatedEvent::TYPE => tell_as::<ReleaseCreatedEvent>,
        ReleaseReadyEvent::TYPE => tell_as::<ReleaseReadyEvent>,
        ReleaseCompletedEvent::TYPE => tell_as::<ReleaseCompletedEvent>,
        ReleaseReopenedEvent::TYPE => tell_as::<ReleaseReopenedEvent>,
        TaskCreatedEvent::TYPE => tell_as::<TaskCreatedEvent>,
        TaskAssignedEvent::TYPE => tell_as::<TaskAssignedEvent>,
        TaskReadyEvent::TYPE => tell_as::<TaskReadyEvent>,
        TaskStartedEvent::TYPE => tell_as::<TaskStartedEvent>,
        TaskCompletedEvent::TYPE => tell_as::<TaskCompletedEvent>,
        HotfixTaskAddedEvent::TYPE => tell_as::<HotfixTaskAddedEvent>,
        StaleTaskDetectedEvent::TYPE => tell_as::<StaleTaskDetectedEvent>,
        TaskReminderDueEvent::TYPE => tell_as::<TaskReminderDueEvent>,
        CommentPostedEvent::TYPE => tell_as::<CommentPostedEvent>,
        CommentRepliedEvent::TYPE => tell_as::<CommentRepliedEvent>,
        _ => return Ok(generic(event, who)),
    };
    let told = tell(event, who)?;
    Ok(Told {
        summary: clean_line(&told.summary),
        ..told
    })
}

fn tell_as<T: Tale>(event: &Event, who: &Who<'_>) -> Result<Told, serde_json::Error> {
    match event.major() {
        Some(major) if major != T::MAJOR => Ok(generic(event, who)),
        _ => Ok(event.payload::<T>()?.tell(who)),
    }
}

/// What can be said of any event.
fn generic(event: &Event, who: &Who<'_>) -> Told {
    Told {
        summary: format!("{} caused an event of type {}", who.name, event.event_type),
        concerns: Vec::new(),
    }
}

impl Tale for UserRegisteredEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        let role = match self.role {
            Role::Developer => "a developer",
            Role::Admin => "an admin",
        };
        let summary = match who.id {
            Some(id) if id != self.user_id => {
                format!("{} registered {} as {role}", who.name, self.username)
            }
            _ => format!("{} joined as {role}", self.username),
        };
        Told {
            summary,
            concerns: vec![self.user_id],
        }
    }
}

impl Tale for ReleaseCreatedEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        let tasks = tasks(self.total_tasks);
        Told {
            summary: format!("{} planned {} with {tasks}", who.name, self.release_name),
            concerns: vec![self.created_by.id],
        }
    }
}

impl Tale for ReleaseReadyEvent {
    fn tell(&self, _: &Who<'_>) -> Told {
        let name = &self.release_name;
        Told {
            summary: match self.total_tasks {
                1 => format!("The only task of {name} is completed"),
                count => format!("All {count} tasks of {name} are completed"),
            },
            concerns: vec![self.created_by.id],
        }
    }
}

impl Tale for ReleaseCompletedEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        let tasks = tasks(self.total_tasks);
        Told {
            summary: format!("{} completed {} with {tasks}", who.name, self.release_name),
            concerns: Vec::new(),
        }
    }
}

impl Tale for ReleaseReopenedEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        Told {
            summary: format!("{} reopened {} for a hotfix", who.name, self.release_name),
            concerns: Vec::new(),
        }
    }
}

impl Tale for TaskCreatedEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        let task = &self.task;
        let hotfix = if task.hotfix { "the hotfix " } else { "" };
        Told {
            summary: format!(
                "{} added {hotfix}“{}” for {} to {}",
                who.name, task.title, task.assignee.username, task.release_name
            ),
            concerns: vec![task.assignee.id],
        }
    }
}

impl Tale for TaskAssignedEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        Told {
            summary: format!(
                "{} assigned “{}” in {} to {}",
                who.name, self.task_title, self.release_name, self.developer_name
            ),
            concerns: vec![self.developer_id],
        }
    }
}

impl Tale for TaskReadyEvent {
    fn tell(&self, _: &Who<'_>) -> Told {
        let task = &self.task;
        Told {
            summary: format!(
                "It is the turn of {}: “{}” in {} can start",
                task.assignee.username, task.title, task.release_name
            ),
            concerns: vec![task.assignee.id],
        }
    }
}

impl Tale for TaskStartedEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        let task = &self.task;
        Told {
            summary: format!(
                "{} started “{}” in {}",
                who.name, task.title, task.release_name
            ),
            concerns: vec![task.assignee.id],
        }
    }
}

impl Tale for TaskCompletedEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        let task = &self.task;
        let mut summary = format!(
            "{} completed “{}” in {}",
            who.name, task.title, task.release_name
        );
        let mut concerns = vec![task.assignee.id];
        if let Some(next) = &self.next_task {
            let owner = &next.assignee;
            summary.push_str(&format!("; next is “{}” by {}", next.title, owner.username));
            concerns.push(owner.id);
        }
        Told { summary, concerns }
    }
}

impl Tale for HotfixTaskAddedEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        Told {
            summary: format!(
                "{} needs the hotfix “{}” from {} in {}",
                who.name, self.task_title, self.developer_name, self.release_name
            ),
            concerns: vec![self.developer_id],
        }
    }
}

impl Tale for StaleTaskDetectedEvent {
    fn tell(&self, _: &Who<'_>) -> Told {
        Told {
            summary: format!(
                "“{}” in {} has been with {} for {} hours",
                self.task_title, self.release_name, self.developer_name, self.hours
            ),
            concerns: vec![self.developer_id],
        }
    }
}

impl Tale for TaskReminderDueEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        Told {
            summary: format!(
                "{} reminded {} of “{}” in {}",
                who.name, self.developer_name, self.task_title, self.release_name
            ),
            concerns: vec![self.developer_id],
        }
    }
}

impl Tale for CommentPostedEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        let task = &self.task;
        let mentioned = self.mentions.iter().map(|user| user.id);
        Told {
            summary: format!(
                "{} commented on “{}” in {}",
                who.name, task.title, task.release_name
            ),
            concerns: [task.assignee.id].into_iter().chain(mentioned).collect(),
        }
    }
}

impl Tale for CommentRepliedEvent {
    fn tell(&self, who: &Who<'_>) -> Told {
        let (task, parent) = (&self.task, &self.parent_author);
        let mentioned = self.mentions.iter().map(|user| user.id);
        let to = if who.id == Some(parent.id) {
            "their own comment"
        } else {
            &parent.username
        };
        Told {
            summary: format!(
                "{} replied to {to} on “{}” in {}",
                who.name, task.title, task.release_name
            ),
            concerns: [parent.id, task.assignee.id]
                .into_iter()
                .chain(mentioned)
                .collect(),
        }
    }
}

fn tasks(count: u32) -> String {
    match count {
        1 => "1 task".to_owned(),
        count => format!("{count} tasks"),
    }
}

#[cfg(test)]
mod tests;
