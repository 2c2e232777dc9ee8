//! Which event notifies whom: the one table of it.
//!
//! The template's variables are the event's payload as it is in the catalogue, and
//! `actor`, the name of who caused it, if somebody did; of an event that another program
//! has announced they are its data, and nothing beside.

use serde_json::{Map, Value};
use slipway_mesh::bus::{Actor, Event};
use slipway_proto::events::{
    HotfixTaskAddedEvent, NOTIFICATIONS, NotificationRequestedEvent, Payload, RELEASES,
    StaleTaskDetectedEvent, TaskAssignedEvent, TaskReminderDueEvent, Topic, UserRef,
};
use uuid::Uuid;

use super::To;

/// The topics with events that notify somebody.
pub const TOPICS: &[Topic] = &[RELEASES, NOTIFICATIONS];

/// The types of Slipway's own events that notify somebody: each has a template.
pub const KINDS: &[&str] = &[
    TaskAssignedEvent::TYPE,
    HotfixTaskAddedEvent::TYPE,
    StaleTaskDetectedEvent::TYPE,
    TaskReminderDueEvent::TYPE,
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
    let recipients = match event.event_type.as_str() {
        TaskAssignedEvent::TYPE => {
            vec![payload::<TaskAssignedEvent>(event)?.developer_id]
        }
        HotfixTaskAddedEvent::TYPE => {
            vec![payload::<HotfixTaskAddedEvent>(event)?.developer_id]
        }
        StaleTaskDetectedEvent::TYPE => {
            vec![payload::<StaleTaskDetectedEvent>(event)?.developer_id]
        }
        TaskReminderDueEvent::TYPE => {
            vec![payload::<TaskReminderDueEvent>(event)?.developer_id]
        }
        NotificationRequestedEvent::TYPE => return Ok(requested(payload(event)?)),
        _ => return Ok(Vec::new()),
    };
    drafts(event, &recipients)
}

/// The type that another program has given this event, if another program has announced it.
#[must_use]
pub fn announced(event: &Event) -> Option<String> {
    let announced = event.event_type == NotificationRequestedEvent::TYPE;
    let payload = announced.then(|| payload::<NotificationRequestedEvent>(event).ok())??;
    Some(payload.notification_type)
}

fn requested(event: NotificationRequestedEvent) -> Vec<Draft> {
    let draft = |recipient: &UserRef| Draft {
        kind: event.notification_type.clone(),
        to: To::User(recipient.id),
        data: Value::Object(event.data.clone()),
    };
    event.recipients.iter().map(draft).collect()
}

fn payload<P: Payload>(event: &Event) -> Result<P, Misfit> {
    if event.major().is_some_and(|major| major != P::MAJOR) {
        return Err(Misfit::new(event, "this major version is not known"));
    }
    event.payload().map_err(|error| Misfit::new(event, error))
}

fn drafts(event: &Event, recipients: &[Uuid]) -> Result<Vec<Draft>, Misfit> {
    let data = serde_json::from_slice(&event.data);
    let mut data: Map<String, Value> = data.map_err(|error| Misfit::new(event, error))?;
    if let Actor::User { username, .. } = &event.actor {
        data.insert("actor".to_owned(), username.clone().into());
    }
    let mut told: Vec<Uuid> = Vec::new();
    for recipient in recipients {
        if !told.contains(recipient) {
            told.push(*recipient);
        }
    }
    let draft = |recipient| Draft {
        kind: event.event_type.clone(),
        to: To::User(recipient),
        data: Value::Object(data.clone()),
    };
    Ok(told.into_iter().map(draft).collect())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use slipway_mesh::bus::event::Origin;
    use slipway_proto::events::{CATALOGUE, UserRegisteredEvent};

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
