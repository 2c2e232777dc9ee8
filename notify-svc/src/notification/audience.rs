//! Which event notifies whom: the one table of it.
//!
//! | event | who is told |
//! | --- | --- |
//! | `task.assigned`, `task.hotfix_added`, `task.ready`, `task.stale_detected`, `task.reminder_due` | the task's owner |
//! | `release.ready` | the admin who planned the release |
//! | `comment.posted` | who is mentioned; as `task.commented` the task's owner |
//! | `comment.replied` | the author of the comment replied to, and who is mentioned; as `task.commented` the task's owner |
//! | `notification.requested`, which another program has announced | whom it names |
//!
//! Each is told once of an event, by the first reason, and nobody of what they did
//! themselves. The template's variables are the event's payload as it is in the catalogue,
//! and `actor`, the name of who caused it, if somebody did; and for comments `because`, why
//! this recipient is told: `reply`, `mention` or `owner`. Of what another program has
//! announced they are its data, and nothing beside.

use serde_json::{Map, Value};
use slipway_bus::{Actor, Event};
use slipway_proto::events::{
    CommentPostedEvent, CommentRepliedEvent, EventData, EventType, FORUM, NOTIFICATIONS,
    NotificationRequestedEvent, Payload, RELEASES, TaskReadyEvent, Topic, UserRef,
};
use uuid::Uuid;

use super::{Notification, To};

/// The topics with events that notify somebody.
pub const TOPICS: &[Topic] = &[RELEASES, FORUM, NOTIFICATIONS];

/// The type of notifications that tell the owner of a task of comments on it. It is not that
/// of the event, so that it can be switched off without switching mentions and replies off.
const TASK_COMMENTED: &str = "task.commented";

/// Whether events of this type notify somebody.
fn notifies(event_type: EventType) -> bool {
    use EventType as T;
    match event_type {
        T::TaskAssigned
        | T::HotfixTaskAdded
        | T::TaskReady
        | T::StaleTaskDetected
        | T::TaskReminderDue
        | T::ReleaseReady
        | T::CommentPosted
        | T::CommentReplied
        | T::NotificationRequested => true,
        T::UserRegistered
        | T::ReleaseCreated
        | T::ReleaseCompleted
        | T::ReleaseReopened
        | T::TaskCreated
        | T::TaskStarted
        | T::TaskCompleted
        | T::ChatAnswered
        | T::NotificationSent
        | T::NotificationFailed
        // An incident of it notifies the administrators.
        | T::SystemError => false,
    }
}

/// The types of notifications that Slipway's own events make: each has a template.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    let types = EventType::ALL
        .iter()
        .copied()
        .filter(|known| notifies(*known));
    // Another program's announcement has a type of its own.
    let own = types.filter(|known| *known != EventType::NotificationRequested);
    own.map(EventType::name).chain([TASK_COMMENTED])
}

/// Whether notifications of this type tell of a comment.
pub(crate) fn is_of_comment(kind: &str) -> bool {
    [
        CommentPostedEvent::TYPE,
        CommentRepliedEvent::TYPE,
        TASK_COMMENTED,
    ]
    .contains(&kind)
}

/// The type of another notification of the same recipient that says what this one says.
pub(crate) fn said_by(notification: &Notification) -> Option<&str> {
    let is_ready = notification.kind == TaskReadyEvent::TYPE;
    let said_by = is_ready.then(|| notification.data.get("announcedBy"));
    said_by.flatten().and_then(Value::as_str)
}

/// A notification to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The type of the notification.
    pub kind: String,
    /// To whom.
    pub to: To,
    /// The template's variables, a JSON object.
    pub data: Value,
    /// Who caused it, if a user did.
    pub sender: Option<Uuid>,
}

/// An event that somebody is to be told of cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("its payload violates {schema}: {reason}")]
pub struct InvalidPayload {
    schema: String,
    reason: String,
}

impl InvalidPayload {
    fn new(event: &Event, reason: impl std::fmt::Display) -> Self {
        Self {
            schema: event.dataschema.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Who is to be told of an event: each recipient once, most events nobody.
///
/// # Errors
/// If the payload does not fit the schema of the event's type, or is of a major version
/// that is not known: somebody would not be told.
pub fn of(event: &Event) -> Result<Vec<Draft>, InvalidPayload> {
    if !EventType::named(&event.event_type).is_some_and(notifies) {
        return Ok(Vec::new());
    }
    match event
        .read()
        .map_err(|error| InvalidPayload::new(event, error))?
    {
        EventData::Unknown => Err(InvalidPayload::new(
            event,
            "this major version is not known",
        )),
        EventData::NotificationRequested(announced) => Ok(requested(event, &announced)),
        data => drafts(event, told(&data)),
    }
}

/// Somebody who is told of an event.
struct AudienceMember {
    user: Uuid,
    /// The type of the notification, if it is not that of the event.
    kind: Option<&'static str>,
    /// Why, if the event alone does not say that.
    because: Option<&'static str>,
}

/// Everybody who has a reason to be told of an event that [`notifies`], the best reason
/// first.
fn told(data: &EventData) -> Vec<AudienceMember> {
    use EventData as E;
    match data {
        E::TaskAssigned(e) => only(e.developer_id),
        E::HotfixTaskAdded(e) => only(e.developer_id),
        E::StaleTaskDetected(e) => only(e.developer_id),
        E::TaskReminderDue(e) => only(e.developer_id),
        E::TaskReady(e) => only(e.task.assignee.id),
        E::ReleaseReady(e) => only(e.created_by.id),
        E::CommentPosted(e) => readers(&e.author, None, &e.mentions, &e.task.assignee),
        E::CommentReplied(e) => {
            let parent = Some(&e.parent_author);
            readers(&e.author, parent, &e.mentions, &e.task.assignee)
        }
        _ => Vec::new(),
    }
}

/// Somebody who is told for the one reason that there is.
fn only(user: Uuid) -> Vec<AudienceMember> {
    vec![AudienceMember {
        user,
        kind: None,
        because: None,
    }]
}

/// Who is told of a comment: not its author.
fn readers(
    author: &UserRef,
    parent: Option<&UserRef>,
    mentions: &[UserRef],
    owner: &UserRef,
) -> Vec<AudienceMember> {
    let told = |kind, because| {
        move |user: &UserRef| AudienceMember {
            user: user.id,
            kind,
            because: Some(because),
        }
    };
    let parent = parent.into_iter().map(told(None, "reply"));
    let mentions = mentions.iter().map(told(None, "mention"));
    let owner = [owner].into_iter().map(told(Some(TASK_COMMENTED), "owner"));
    let all = parent.chain(mentions).chain(owner);
    all.filter(|told| told.user != author.id).collect()
}

/// The type that another program has given this event, if another program has announced it.
#[must_use]
pub fn announced(event: &Event) -> Option<String> {
    match EventType::named(&event.event_type)? {
        EventType::NotificationRequested => {
            let announced: NotificationRequestedEvent = event.payload().ok()?;
            Some(announced.notification_type)
        }
        _ => None,
    }
}

fn requested(event: &Event, requested: &NotificationRequestedEvent) -> Vec<Draft> {
    let draft = |recipient: &UserRef| Draft {
        kind: requested.notification_type.clone(),
        to: To::User(recipient.id),
        data: Value::Object(requested.data.clone()),
        sender: sender(event),
    };
    requested.recipients.iter().map(draft).collect()
}

fn sender(event: &Event) -> Option<Uuid> {
    match &event.actor {
        Actor::User { id, .. } => Some(*id),
        Actor::System => None,
    }
}

/// The notifications: each recipient once, and none of what they did themselves.
fn drafts(event: &Event, told: Vec<AudienceMember>) -> Result<Vec<Draft>, InvalidPayload> {
    let data = serde_json::from_slice(&event.data);
    let mut data: Map<String, Value> = data.map_err(|error| InvalidPayload::new(event, error))?;
    if let Actor::User { username, .. } = &event.actor {
        data.insert("actor".to_owned(), username.clone().into());
    }
    let sender = sender(event);
    let mut drafts: Vec<Draft> = Vec::new();
    for AudienceMember {
        user,
        kind,
        because,
    } in told
    {
        let to = To::User(user);
        if sender == Some(user) || drafts.iter().any(|draft| draft.to == to) {
            continue;
        }
        let mut data = data.clone();
        if let Some(because) = because {
            data.insert("because".to_owned(), because.into());
        }
        drafts.push(Draft {
            kind: kind.unwrap_or(&event.event_type).to_owned(),
            to,
            data: Value::Object(data),
            sender,
        });
    }
    Ok(drafts)
}

#[cfg(test)]
mod tests;
