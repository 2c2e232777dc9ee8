//! The recipients of each event, in one table.
//!
//! | event | recipients |
//! | --- | --- |
//! | `task.assigned`, `task.hotfix_added`, `task.ready`, `task.stale_detected`, `task.reminder_due` | the task's owner |
//! | `task.paused`, `task.recurrence_ended` | the admin who planned the release, and the task's owner |
//! | `release.ready` | the admin who planned the release |
//! | `comment.posted` | the users mentioned; as `task.commented` the task's owner |
//! | `comment.replied` | the author of the parent comment, and the users mentioned; as `task.commented` the task's owner |
//! | `user.reset_requested`, `user.invited` | the address of the account |
//! | `notification.requested`, announced by another program | the users it names |
//!
//! Each user gets one notification for an event, for the first reason that applies, and none
//! for their own actions. What is mailed to an address is sent whoever caused it, and whatever the
//! preferences of its user are. The template's variables are the event's payload as in the catalogue
//! and `actor`, the name of the user who caused it, if one did. For comments, `task.paused` and
//! `task.recurrence_ended` there is also `because`, the reason: `reply`, `mention`, `planner` or
//! `owner`. For an event that another program has announced, the variables are only that event's
//! data.

use serde_json::{Map, Value};
use slipway_bus::{Actor, Event};
use slipway_proto::events::{
    ADMIN, CommentPostedEvent, CommentRepliedEvent, EventData, EventType, FORUM, NOTIFICATIONS,
    NotificationRequestedEvent, Payload, RELEASES, TaskReadyEvent, Topic, UserRef,
};
use uuid::Uuid;

use super::{Notification, To, links};

/// The topics with events that create notifications.
pub const TOPICS: &[Topic] = &[RELEASES, FORUM, NOTIFICATIONS, ADMIN];

/// The type of notifications to a task's owner about comments. It differs from the event's type, so
/// that the owner can turn it off and still get mentions and replies.
const TASK_COMMENTED: &str = "task.commented";

/// Whether events of this type create notifications.
fn notifies(event_type: EventType) -> bool {
    use EventType as T;
    match event_type {
        T::TaskAssigned
        | T::HotfixTaskAdded
        | T::TaskReady
        | T::StaleTaskDetected
        | T::TaskReminderDue
        | T::TaskPaused
        | T::TaskRecurrenceEnded
        | T::ReleaseReady
        | T::CommentPosted
        | T::CommentReplied
        | T::PasswordResetRequested
        | T::UserInvited
        | T::NotificationRequested => true,
        T::UserRegistered
        | T::ReleaseCreated
        | T::ReleaseCompleted
        | T::ReleaseReopened
        | T::ReleaseUpdated
        | T::ReleaseDeleted
        | T::TaskCreated
        | T::TaskUpdated
        | T::TaskDeleted
        | T::TaskStarted
        | T::TaskCompleted
        | T::CommentEdited
        | T::CommentDeleted
        | T::ChatAnswered
        | T::NotificationSent
        | T::NotificationFailed
        | T::TemplateUpdated
        | T::TemplateDeleted
        | T::DeadLetterReplayed
        | T::SessionEnded
        | T::TokenCreated
        | T::TokenRevoked
        | T::PasswordChanged
        | T::UserDisabled
        | T::UserEnabled
        | T::UserRoleChanged
        // Administrators are notified of the incident instead.
        | T::SystemError => false,
    }
}

/// The notification types of Slipway's own events: each has a template.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    let types = EventType::ALL
        .iter()
        .copied()
        .filter(|known| notifies(*known));
    // An event announced by another program has a type of its own.
    let own = types.filter(|known| *known != EventType::NotificationRequested);
    own.map(EventType::name).chain([TASK_COMMENTED])
}

/// Whether notifications of this type are mailed to the address of an account, for its owner to get
/// access: they are sent at once, and nobody can switch them off.
#[must_use]
pub fn is_of_access(kind: &str) -> bool {
    links::has_link(kind)
}

/// Whether notifications of this type are about a comment.
pub(crate) fn is_of_comment(kind: &str) -> bool {
    [
        CommentPostedEvent::TYPE,
        CommentRepliedEvent::TYPE,
        TASK_COMMENTED,
    ]
    .contains(&kind)
}

/// The type of another notification to the same recipient with the same information.
pub(crate) fn announced_by(notification: &Notification) -> Option<&str> {
    let is_ready = notification.kind == TaskReadyEvent::TYPE;
    let announced_by = is_ready.then(|| notification.data.get("announcedBy"));
    announced_by.flatten().and_then(Value::as_str)
}

/// A notification to create.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The type of the notification.
    pub kind: String,
    /// The recipient.
    pub to: To,
    /// The template's variables, a JSON object.
    pub data: Value,
    /// The user who caused it, if one did.
    pub sender: Option<Uuid>,
}

/// The payload of an event that creates notifications is invalid.
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

/// The notifications of an event: one for each recipient, none for most events.
///
/// # Errors
/// If the payload violates the schema of the event's type, or has an unknown major version: then
/// somebody would miss a notification.
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
        EventData::PasswordResetRequested(e) => to_address(event, &e.email),
        EventData::UserInvited(e) => to_address(event, &e.email),
        data => drafts(event, audience(&data)),
    }
}

/// A recipient of an event.
struct AudienceMember {
    user: Uuid,
    /// The type of the notification, if it is not that of the event.
    kind: Option<&'static str>,
    /// The reason, if the event has several.
    because: Option<&'static str>,
}

/// All recipients of an event that [`notifies`], with the strongest reason first. May name a user
/// twice.
fn audience(data: &EventData) -> Vec<AudienceMember> {
    use EventData as E;
    match data {
        E::TaskAssigned(e) => only(e.developer_id),
        E::HotfixTaskAdded(e) => only(e.developer_id),
        E::StaleTaskDetected(e) => only(e.developer_id),
        E::TaskReminderDue(e) => only(e.developer_id),
        E::TaskReady(e) => only(e.task.assignee.id),
        E::TaskPaused(e) => planner_and_owner(&e.planned_by, &e.task.assignee),
        E::TaskRecurrenceEnded(e) => planner_and_owner(&e.planned_by, &e.task.assignee),
        E::ReleaseReady(e) => only(e.created_by.id),
        E::CommentPosted(e) => readers(&e.author, None, &e.mentions, &e.task.assignee),
        E::CommentReplied(e) => {
            let parent = Some(&e.parent_author);
            readers(&e.author, parent, &e.mentions, &e.task.assignee)
        }
        _ => Vec::new(),
    }
}

/// The only recipient of an event.
fn only(user: Uuid) -> Vec<AudienceMember> {
    vec![AudienceMember {
        user,
        kind: None,
        because: None,
    }]
}

fn planner_and_owner(planner: &UserRef, owner: &UserRef) -> Vec<AudienceMember> {
    let member = |user: &UserRef, because| AudienceMember {
        user: user.id,
        kind: None,
        because: Some(because),
    };
    vec![member(planner, "planner"), member(owner, "owner")]
}

/// The recipients of a comment, without its author.
fn readers(
    author: &UserRef,
    parent: Option<&UserRef>,
    mentions: &[UserRef],
    owner: &UserRef,
) -> Vec<AudienceMember> {
    let member = |kind, because| {
        move |user: &UserRef| AudienceMember {
            user: user.id,
            kind,
            because: Some(because),
        }
    };
    let parent = parent.into_iter().map(member(None, "reply"));
    let mentions = mentions.iter().map(member(None, "mention"));
    let owner = [owner]
        .into_iter()
        .map(member(Some(TASK_COMMENTED), "owner"));
    let all = parent.chain(mentions).chain(owner);
    all.filter(|member| member.user != author.id).collect()
}

/// The type another program gave to this event, if another program announced it.
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

/// The variables of an event of Slipway's own.
fn variables(event: &Event) -> Result<Map<String, Value>, InvalidPayload> {
    let data = serde_json::from_slice(&event.data);
    let mut data: Map<String, Value> = data.map_err(|error| InvalidPayload::new(event, error))?;
    if let Actor::User { username, .. } = &event.actor {
        data.insert("actor".to_owned(), username.clone().into());
    }
    Ok(data)
}

/// The only notification of an event about access to an account.
fn to_address(event: &Event, address: &str) -> Result<Vec<Draft>, InvalidPayload> {
    let mut data = variables(event)?;
    if links::has_link(&event.event_type) {
        data.insert(links::SECRET.to_owned(), links::HIDDEN.into());
    }
    Ok(vec![Draft {
        kind: event.event_type.clone(),
        to: To::address(address),
        data: Value::Object(data),
        sender: None,
    }])
}

/// One notification for each recipient, none for the user who caused the event.
fn drafts(event: &Event, members: Vec<AudienceMember>) -> Result<Vec<Draft>, InvalidPayload> {
    let data = variables(event)?;
    let sender = sender(event);
    let mut drafts: Vec<Draft> = Vec::new();
    for AudienceMember {
        user,
        kind,
        because,
    } in members
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
