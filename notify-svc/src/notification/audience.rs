//! Which event notifies whom: the one table of it.
//!
//! | event | who is told |
//! | --- | --- |
//! | `task.assigned`, `task.hotfix_added`, `task.stale_detected`, `task.reminder_due` | the task's owner |
//! | `comment.posted` | who is mentioned |
//! | `comment.replied` | the author of the comment replied to, and who is mentioned |
//! | `notification.requested`, which another program has announced | whom it names |
//!
//! Nobody is told of what they wrote themselves. The template's variables are the event's
//! payload as it is in the catalogue, and `actor`, the name of who caused it, if somebody
//! did; and for comments `because`, why this recipient is told: `reply` or `mention`. Of
//! what another program has announced they are its data, and nothing beside.

use serde_json::{Map, Value};
use slipway_mesh::bus::{Actor, Event};
use slipway_proto::events::{
    CommentPostedEvent, CommentRepliedEvent, FORUM, HotfixTaskAddedEvent, NOTIFICATIONS,
    NotificationRequestedEvent, Payload, RELEASES, StaleTaskDetectedEvent, TaskAssignedEvent,
    TaskReminderDueEvent, Topic, UserRef,
};
use uuid::Uuid;

use super::To;

/// The topics with events that notify somebody.
pub const TOPICS: &[Topic] = &[RELEASES, FORUM, NOTIFICATIONS];

/// The types of Slipway's own events that notify somebody: each has a template.
pub const KINDS: &[&str] = &[
    TaskAssignedEvent::TYPE,
    HotfixTaskAddedEvent::TYPE,
    StaleTaskDetectedEvent::TYPE,
    TaskReminderDueEvent::TYPE,
    CommentPostedEvent::TYPE,
    CommentRepliedEvent::TYPE,
];

/// A notification to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The type of the event.
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
    let told = match event.event_type.as_str() {
        TaskAssignedEvent::TYPE => owner(payload::<TaskAssignedEvent>(event)?.developer_id),
        HotfixTaskAddedEvent::TYPE => owner(payload::<HotfixTaskAddedEvent>(event)?.developer_id),
        StaleTaskDetectedEvent::TYPE => {
            owner(payload::<StaleTaskDetectedEvent>(event)?.developer_id)
        }
        TaskReminderDueEvent::TYPE => owner(payload::<TaskReminderDueEvent>(event)?.developer_id),
        CommentPostedEvent::TYPE => {
            let comment: CommentPostedEvent = payload(event)?;
            readers(&comment.author, None, &comment.mentions)
        }
        CommentRepliedEvent::TYPE => {
            let reply: CommentRepliedEvent = payload(event)?;
            readers(&reply.author, Some(&reply.parent_author), &reply.mentions)
        }
        NotificationRequestedEvent::TYPE => return Ok(requested(event, &payload(event)?)),
        _ => return Ok(Vec::new()),
    };
    drafts(event, told)
}

/// Who is told, and why, if the event alone does not say that.
type Told = (Uuid, Option<&'static str>);

fn owner(developer: Uuid) -> Vec<Told> {
    vec![(developer, None)]
}

/// Who is told of a comment: each once, by the first reason, and not its author.
fn readers(author: &UserRef, parent: Option<&UserRef>, mentions: &[UserRef]) -> Vec<Told> {
    let parent = parent.map(|parent| (parent.id, Some("reply")));
    let mentions = mentions.iter().map(|user| (user.id, Some("mention")));
    let mut told: Vec<Told> = Vec::new();
    for (user, because) in parent.into_iter().chain(mentions) {
        if user != author.id && told.iter().all(|(known, _)| *known != user) {
            told.push((user, because));
        }
    }
    told
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

fn drafts(event: &Event, told: Vec<Told>) -> Result<Vec<Draft>, Misfit> {
    let data = serde_json::from_slice(&event.data);
    let mut data: Map<String, Value> = data.map_err(|error| Misfit::new(event, error))?;
    if let Actor::User { username, .. } = &event.actor {
        data.insert("actor".to_owned(), username.clone().into());
    }
    let draft = |(user, because): Told| {
        let mut data = data.clone();
        if let Some(because) = because {
            data.insert("because".to_owned(), because.into());
        }
        Draft {
            kind: event.event_type.clone(),
            to: To::User(user),
            data: Value::Object(data),
            sender: sender(event),
        }
    };
    Ok(told.into_iter().map(draft).collect())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use slipway_mesh::bus::event::Origin;
    use slipway_proto::events::{CATALOGUE, CommentedTask, UserRegisteredEvent};

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
        for (event, kind) in events.iter().zip(KINDS) {
            let drafts = of(event).unwrap();
            assert_eq!(drafts.len(), 1);
            assert_eq!(
                (drafts[0].kind.as_str(), &drafts[0].to),
                (*kind, &To::User(ADA))
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

    fn reply(author: Uuid, parent: Uuid, mentions: &[Uuid]) -> Event {
        let reply = CommentRepliedEvent {
            task: CommentedTask {
                id: ANY,
                title: "Build images".into(),
                release_id: ANY,
                release_name: "Kubernetes 1.31".into(),
                assignee: user(ANY, "grace"),
            },
            comment_id: ANY,
            parent_id: ANY,
            parent_author: user(parent, "parent"),
            author: user(author, "author"),
            excerpt: "I agree".into(),
            mentions: mentions.iter().map(|id| user(*id, "mentioned")).collect(),
        };
        event(&reply, &Actor::System)
    }

    /// Who is told of it, and why.
    fn told(event: &Event) -> Vec<(Uuid, String)> {
        let drafts = of(event).unwrap().into_iter();
        drafts
            .map(|draft| {
                let because = draft.data["because"].as_str().unwrap();
                (draft.to.user().unwrap(), because.to_owned())
            })
            .collect()
    }

    #[test]
    fn a_reply_is_told_to_whom_it_answers_and_to_whom_it_mentions() {
        let (bob, eve) = (Uuid::from_u128(0xb0b), Uuid::from_u128(0xe5e));
        let because = |id, why: &str| (id, why.to_owned());
        assert_eq!(
            told(&reply(bob, ADA, &[eve])),
            [because(ADA, "reply"), because(eve, "mention")]
        );
        assert_eq!(
            told(&reply(bob, ADA, &[ADA, eve, eve])),
            [because(ADA, "reply"), because(eve, "mention")],
            "each once"
        );
        assert_eq!(
            told(&reply(ADA, ADA, &[ADA])),
            [],
            "nobody answers themselves"
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
        assert!(KINDS.iter().all(|kind| {
            let known = CATALOGUE.iter().find(|known| known.event_type == *kind);
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
