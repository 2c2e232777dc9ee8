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
use slipway_mesh::bus::{Actor, Event};
use slipway_proto::events::{
    CommentPostedEvent, CommentRepliedEvent, FORUM, HotfixTaskAddedEvent, NOTIFICATIONS,
    NotificationRequestedEvent, Payload, RELEASES, ReleaseReadyEvent, StaleTaskDetectedEvent,
    TaskAssignedEvent, TaskReadyEvent, TaskReminderDueEvent, Topic, UserRef,
};
use uuid::Uuid;

use super::{Notification, To};

/// The topics with events that notify somebody.
pub const TOPICS: &[Topic] = &[RELEASES, FORUM, NOTIFICATIONS];

/// The type of notifications that tell the owner of a task of comments on it. It is not that
/// of the event, so that it can be switched off without switching mentions and replies off.
const TASK_COMMENTED: &str = "task.commented";

/// A type of Slipway's own events that notifies somebody.
struct Type {
    name: &'static str,
    told: fn(&Event) -> Result<Vec<Told>, Misfit>,
}

const fn tells<P: Tells>() -> Type {
    Type {
        name: P::TYPE,
        told: |event| Ok(payload::<P>(event)?.told()),
    }
}

const TYPES: &[Type] = &[
    tells::<TaskAssignedEvent>(),
    tells::<HotfixTaskAddedEvent>(),
    tells::<TaskReadyEvent>(),
    tells::<StaleTaskDetectedEvent>(),
    tells::<TaskReminderDueEvent>(),
    tells::<ReleaseReadyEvent>(),
    tells::<CommentPostedEvent>(),
    tells::<CommentRepliedEvent>(),
];

/// The types of notifications that Slipway's own events make: each has a template.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|known| known.name).chain([TASK_COMMENTED])
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
pub struct Misfit {
    schema: String,
    reason: String,
}

impl Misfit {
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
pub fn of(event: &Event) -> Result<Vec<Draft>, Misfit> {
    if event.event_type == NotificationRequestedEvent::TYPE {
        return Ok(requested(event, &payload(event)?));
    }
    match TYPES.iter().find(|known| known.name == event.event_type) {
        Some(known) => drafts(event, (known.told)(event)?),
        None => Ok(Vec::new()),
    }
}

/// Somebody who is told of an event.
struct Told {
    user: Uuid,
    /// The type of the notification, if it is not that of the event.
    kind: Option<&'static str>,
    /// Why, if the event alone does not say that.
    because: Option<&'static str>,
}

/// A payload that tells who is to be told of it.
trait Tells: Payload {
    /// Everybody who has a reason to be told, the best reason first.
    fn told(&self) -> Vec<Told>;
}

/// Somebody who is told for the one reason that there is.
fn only(user: Uuid) -> Vec<Told> {
    vec![Told {
        user,
        kind: None,
        because: None,
    }]
}

impl Tells for TaskAssignedEvent {
    fn told(&self) -> Vec<Told> {
        only(self.developer_id)
    }
}

impl Tells for HotfixTaskAddedEvent {
    fn told(&self) -> Vec<Told> {
        only(self.developer_id)
    }
}

impl Tells for TaskReadyEvent {
    fn told(&self) -> Vec<Told> {
        only(self.task.assignee.id)
    }
}

impl Tells for StaleTaskDetectedEvent {
    fn told(&self) -> Vec<Told> {
        only(self.developer_id)
    }
}

impl Tells for TaskReminderDueEvent {
    fn told(&self) -> Vec<Told> {
        only(self.developer_id)
    }
}

impl Tells for ReleaseReadyEvent {
    fn told(&self) -> Vec<Told> {
        only(self.created_by.id)
    }
}

impl Tells for CommentPostedEvent {
    fn told(&self) -> Vec<Told> {
        readers(&self.author, None, &self.mentions, &self.task.assignee)
    }
}

impl Tells for CommentRepliedEvent {
    fn told(&self) -> Vec<Told> {
        let parent = Some(&self.parent_author);
        readers(&self.author, parent, &self.mentions, &self.task.assignee)
    }
}

/// Who is told of a comment: not its author.
fn readers(
    author: &UserRef,
    parent: Option<&UserRef>,
    mentions: &[UserRef],
    owner: &UserRef,
) -> Vec<Told> {
    let told = |kind, because| {
        move |user: &UserRef| Told {
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
    let announced = event.event_type == NotificationRequestedEvent::TYPE;
    let payload = announced.then(|| payload::<NotificationRequestedEvent>(event).ok())??;
    Some(payload.notification_type)
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

fn payload<P: Payload>(event: &Event) -> Result<P, Misfit> {
    if event.major().is_some_and(|major| major != P::MAJOR) {
        return Err(Misfit::new(event, "this major version is not known"));
    }
    event.payload().map_err(|error| Misfit::new(event, error))
}

/// The notifications: each recipient once, and none of what they did themselves.
fn drafts(event: &Event, told: Vec<Told>) -> Result<Vec<Draft>, Misfit> {
    let data = serde_json::from_slice(&event.data);
    let mut data: Map<String, Value> = data.map_err(|error| Misfit::new(event, error))?;
    if let Actor::User { username, .. } = &event.actor {
        data.insert("actor".to_owned(), username.clone().into());
    }
    let sender = sender(event);
    let mut drafts: Vec<Draft> = Vec::new();
    for Told {
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
mod tests {
    use jiff::Timestamp;
    use slipway_mesh::bus::event::Origin;
    use slipway_proto::events::{
        CATALOGUE, CommentedTask, TaskData, TaskState, UserRegisteredEvent,
    };

    use super::*;

    const ADA: Uuid = Uuid::from_u128(0xada);
    const ANY: Uuid = Uuid::from_u128(1);

    fn event<P: Payload>(payload: &P, actor: &Actor) -> Event {
        let origin = Origin {
            service: "release-svc",
            key: ANY,
            subject: ANY,
            actor,
            time: Timestamp::UNIX_EPOCH,
        };
        Event::new(payload, &origin)
    }

    fn assigned() -> TaskAssignedEvent {
        TaskAssignedEvent {
            developer_id: ADA,
            developer_name: "ada".into(),
            release_id: ANY,
            release_name: "Kubernetes 1.31".into(),
            task_id: ANY,
            task_title: "Build images".into(),
            order_index: 1,
            position: None,
            can_start: None,
            due_at: None,
            plan_tasks: None,
        }
    }

    #[test]
    fn the_owner_of_a_task_is_told_of_it() {
        let hotfix = HotfixTaskAddedEvent {
            developer_id: ADA,
            developer_name: "ada".into(),
            release_id: ANY,
            release_name: "Kubernetes 1.31".into(),
            task_id: ANY,
            task_title: "Build images".into(),
            position: None,
            can_start: None,
            due_at: None,
        };
        let stale = StaleTaskDetectedEvent {
            developer_id: ADA,
            developer_name: "ada".into(),
            release_id: ANY,
            release_name: "Kubernetes 1.31".into(),
            task_id: ANY,
            task_title: "Build images".into(),
            started_at: Timestamp::UNIX_EPOCH,
            hours: 49,
        };
        let reminder = TaskReminderDueEvent {
            developer_id: ADA,
            developer_name: "ada".into(),
            release_id: ANY,
            release_name: "Kubernetes 1.31".into(),
            task_id: ANY,
            task_title: "Build images".into(),
            due_at: None,
            remind_at: Timestamp::UNIX_EPOCH,
        };
        let system = &Actor::System;
        let events = [
            event(&assigned(), system),
            event(&hotfix, system),
            event(&stale, system),
            event(&reminder, system),
        ];
        for event in &events {
            let drafts = of(event).unwrap();
            assert_eq!(drafts.len(), 1);
            assert_eq!(
                (&drafts[0].kind, &drafts[0].to),
                (&event.event_type, &To::User(ADA))
            );
            assert_eq!(drafts[0].data["taskTitle"], "Build images");
            assert_eq!(drafts[0].data.get("actor"), None);
        }
    }

    fn user(id: Uuid, username: &str) -> UserRef {
        UserRef {
            id,
            username: username.into(),
        }
    }

    fn on_a_task_of(owner: Uuid) -> CommentedTask {
        CommentedTask {
            id: ANY,
            title: "Build images".into(),
            release_id: ANY,
            release_name: "Kubernetes 1.31".into(),
            assignee: user(owner, "owner"),
        }
    }

    fn comment(author: Uuid, owner: Uuid, mentions: &[Uuid]) -> Event {
        let comment = CommentPostedEvent {
            task: on_a_task_of(owner),
            comment_id: ANY,
            author: user(author, "author"),
            excerpt: "Is it done?".into(),
            mentions: mentions.iter().map(|id| user(*id, "mentioned")).collect(),
        };
        event(&comment, &Actor::System)
    }

    fn reply(author: Uuid, parent: Uuid, owner: Uuid, mentions: &[Uuid]) -> Event {
        let reply = CommentRepliedEvent {
            task: on_a_task_of(owner),
            comment_id: ANY,
            parent_id: ANY,
            parent_author: user(parent, "parent"),
            author: user(author, "author"),
            excerpt: "I agree".into(),
            mentions: mentions.iter().map(|id| user(*id, "mentioned")).collect(),
        };
        event(&reply, &Actor::System)
    }

    /// Who is told of it, by what type of notification, and why.
    fn told(event: &Event) -> Vec<(Uuid, String, String)> {
        let drafts = of(event).unwrap().into_iter();
        drafts
            .map(|draft| {
                let because = draft.data["because"].as_str().unwrap();
                (draft.to.user().unwrap(), draft.kind, because.to_owned())
            })
            .collect()
    }

    fn is_told(id: Uuid, kind: &str, why: &str) -> (Uuid, String, String) {
        (id, kind.to_owned(), why.to_owned())
    }

    #[test]
    fn a_reply_is_told_to_whom_it_answers_and_to_whom_it_mentions() {
        let (bob, eve) = (Uuid::from_u128(0xb0b), Uuid::from_u128(0xe5e));
        let because = |id, why: &str| is_told(id, "comment.replied", why);
        assert_eq!(
            told(&reply(bob, ADA, bob, &[eve])),
            [because(ADA, "reply"), because(eve, "mention")]
        );
        assert_eq!(
            told(&reply(bob, ADA, bob, &[ADA, eve, eve])),
            [because(ADA, "reply"), because(eve, "mention")],
            "each once"
        );
        assert_eq!(
            told(&reply(ADA, ADA, ADA, &[ADA])),
            [],
            "nobody answers themselves"
        );
    }

    #[test]
    fn the_owner_of_a_task_is_told_of_comments_once_and_not_of_their_own() {
        let (bob, eve) = (Uuid::from_u128(0xb0b), Uuid::from_u128(0xe5e));
        let owner = is_told(ADA, "task.commented", "owner");
        assert_eq!(told(&comment(bob, ADA, &[])), std::slice::from_ref(&owner));
        assert_eq!(
            told(&comment(bob, ADA, &[eve])),
            [is_told(eve, "comment.posted", "mention"), owner.clone()]
        );
        assert_eq!(
            told(&comment(bob, ADA, &[ADA])),
            [is_told(ADA, "comment.posted", "mention")],
            "a mention says it already"
        );
        assert_eq!(told(&comment(ADA, ADA, &[])), []);
        assert_eq!(
            told(&reply(bob, eve, ADA, &[])),
            [is_told(eve, "comment.replied", "reply"), owner]
        );
        assert_eq!(
            told(&reply(bob, ADA, ADA, &[])),
            [is_told(ADA, "comment.replied", "reply")]
        );
        assert_eq!(told(&reply(ADA, ADA, ADA, &[])), []);
    }

    fn ready() -> TaskReadyEvent {
        TaskReadyEvent {
            task: TaskData {
                id: ANY,
                release_id: ANY,
                release_name: "Kubernetes 1.31".into(),
                title: "Publish".into(),
                description: String::new(),
                assignee: user(ADA, "ada"),
                order_index: 20,
                status: TaskState::Todo,
                hotfix: false,
                created_at: Timestamp::UNIX_EPOCH,
                started_at: None,
                completed_at: None,
                due_at: None,
            },
            position: 2,
            announced_by: None,
        }
    }

    #[test]
    fn whose_turn_it_is_is_told_to_them_unless_they_made_it_so_themselves() {
        let by = |id| Actor::User {
            id,
            username: "somebody".into(),
        };
        let of_another = of(&event(&ready(), &by(ANY))).unwrap();
        assert_eq!(of_another.len(), 1);
        assert_eq!(
            (of_another[0].kind.as_str(), &of_another[0].to),
            ("task.ready", &To::User(ADA))
        );
        assert_eq!(of(&event(&ready(), &by(ADA))).unwrap(), []);
    }

    #[test]
    fn who_planned_a_release_is_told_that_all_its_tasks_are_completed() {
        let ready = ReleaseReadyEvent {
            release_id: ANY,
            release_name: "Kubernetes 1.31".into(),
            version: String::new(),
            created_by: user(ADA, "ada"),
            total_tasks: 5,
        };
        let drafts = of(&event(&ready, &Actor::System)).unwrap();
        assert_eq!(drafts.len(), 1);
        assert_eq!(
            (drafts[0].kind.as_str(), &drafts[0].to),
            ("release.ready", &To::User(ADA))
        );
    }

    #[test]
    fn who_caused_it_is_named() {
        let grace = Actor::User {
            id: ANY,
            username: "grace".into(),
        };
        let drafts = of(&event(&assigned(), &grace)).unwrap();
        assert_eq!(drafts[0].data["actor"], "grace");
    }

    #[test]
    fn most_events_notify_nobody() {
        let registered = UserRegisteredEvent {
            user_id: ADA,
            username: "ada".into(),
            email: "ada@example.com".into(),
            role: slipway_proto::events::Role::Developer,
        };
        assert!(of(&event(&registered, &Actor::System)).unwrap().is_empty());
        assert!(TYPES.iter().all(|told| {
            let known = CATALOGUE.iter().find(|known| known.event_type == told.name);
            known.is_some_and(|known| TOPICS.contains(&known.topic))
        }));
    }

    #[test]
    fn a_payload_that_does_not_fit_is_refused() {
        let mut event = event(&assigned(), &Actor::System);
        event.dataschema = "task.assigned/2".into();
        assert!(of(&event).is_err(), "of another major version");
        event.dataschema = "task.assigned/1".into();
        event.data = "{}".into();
        assert!(of(&event).is_err());
    }
}
