//! One entry of the activity log: an event as the activity feed shows it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Value;
use slipway_bus::{Actor, Event};
use slipway_proto::events::{
    CommentEditedEvent, CommentedTask, FORUM, Payload as _, RELEASES, UserRef,
};
use uuid::Uuid;

use super::sentence::{self, Who};

/// An event as the activity feed shows it, before it has a sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Id of the event.
    pub id: Uuid,
    /// For example `task.started`.
    pub event_type: String,
    /// When it happened.
    pub time: Timestamp,
    /// Who caused it; `None` if the system did.
    pub actor: Option<UserRef>,
    /// Id of the thing it is about.
    pub subject: String,
    /// The release it belongs to, if any.
    pub release_id: Option<Uuid>,
    /// One English sentence, without its full stop.
    pub summary: String,
    /// The payload as JSON text, without private data.
    pub data: String,
    /// The users it concerns, without the actor; each once.
    pub concerns: Vec<Uuid>,
}

/// An activity with its sequence number in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its sequence number, from 1, without gaps.
    pub sequence: u64,
    /// What happened.
    pub activity: Activity,
}

impl Activity {
    /// Describes an event for the feed. An unknown type, or an unknown major version of a type,
    /// gets a generic sentence.
    ///
    /// # Errors
    /// If the type is known and the payload violates its schema.
    pub fn narrate(event: &Event) -> Result<Self, serde_json::Error> {
        let narration = sentence::tell(event, &Who::of(&event.actor))?;
        let actor = match &event.actor {
            Actor::User { id, username } => Some(UserRef {
                id: *id,
                username: username.clone(),
            }),
            Actor::System => None,
        };
        let mut concerns: Vec<Uuid> = Vec::new();
        for person in narration.concerns {
            let is_actor = actor.as_ref().is_some_and(|actor| actor.id == person);
            if !is_actor && !concerns.contains(&person) {
                concerns.push(person);
            }
        }
        Ok(Self {
            id: event.id,
            event_type: event.event_type.clone(),
            time: event.time,
            actor,
            subject: event.subject.clone(),
            release_id: release_of(event),
            summary: narration.summary,
            data: public_data(event),
            concerns,
        })
    }

    /// Size of its texts in bytes; it limits the size of a page.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.data.len() + self.summary.len() + self.subject.len() + self.event_type.len()
    }

    /// Every user it is about: the actor and those it concerns.
    pub fn people(&self) -> impl Iterator<Item = Uuid> {
        let actor = self.actor.as_ref().map(|actor| actor.id);
        actor.into_iter().chain(self.concerns.iter().copied())
    }
}

/// The release an event is about: its key, or that of the task which was commented on.
pub(crate) fn release_of(event: &Event) -> Option<Uuid> {
    if event.topic == RELEASES.name {
        return event.key.parse().ok();
    }
    Some(commented_task(event)?.release_id)
}

/// The task that an event in a discussion is about.
pub(crate) fn commented_task(event: &Event) -> Option<CommentedTask> {
    #[derive(Deserialize)]
    struct OnTask {
        task: CommentedTask,
    }
    if event.topic != FORUM.name {
        return None;
    }
    let comment: OnTask = serde_json::from_slice(&event.data).ok()?;
    Some(comment.task)
}

/// The payload without private data; `null` if it is not JSON.
fn public_data(event: &Event) -> String {
    const NOTHING: &str = "null";
    if let Some(field) = private_field(event) {
        return match serde_json::from_slice(&event.data) {
            Ok(Value::Object(mut payload)) => {
                payload.remove(field);
                Value::Object(payload).to_string()
            }
            _ => NOTHING.to_owned(),
        };
    }
    match (
        serde_json::from_slice::<IgnoredAny>(&event.data),
        std::str::from_utf8(&event.data),
    ) {
        (Ok(_), Ok(text)) => text.to_owned(),
        _ => NOTHING.to_owned(),
    }
}

/// What every signed-in user would read in the feed and must not: an email address, which the event
/// has for the services that send mail, and what the author of a comment took back, which is for
/// the audit trail.
fn private_field(event: &Event) -> Option<&'static str> {
    match event.event_type.as_str() {
        CommentEditedEvent::TYPE => Some("previousExcerpt"),
        kind if kind.starts_with("user.") => Some("email"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use slipway_bus::event::Origin;
    use slipway_proto::events::{Payload, Role, TaskAssignedEvent, UserRegisteredEvent};

    use super::*;
    use crate::samples;

    fn event<P: Payload>(payload: &P, key: Uuid, actor: &Actor) -> Event {
        Event::new(
            payload,
            &Origin {
                service: "release-svc",
                key,
                subject: key,
                actor,
                time: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            },
        )
    }

    fn registered(actor: &Actor) -> Event {
        let user_id = Uuid::now_v7();
        let payload = UserRegisteredEvent {
            user_id,
            username: "ada".into(),
            email: "ada@example.com".into(),
            role: Role::Developer,
        };
        event(&payload, user_id, actor)
    }

    fn assigned(developer_id: Uuid, actor: &Actor) -> Event {
        let release_id = Uuid::now_v7();
        let payload = TaskAssignedEvent {
            developer_id,
            developer_name: "ada".into(),
            release_id,
            release_name: "Kubernetes 1.31".into(),
            task_id: Uuid::now_v7(),
            task_title: "Build images".into(),
            order_index: 1,
            position: None,
            can_start: None,
            due_at: None,
            plan_tasks: None,
        };
        event(&payload, release_id, actor)
    }

    #[test]
    fn what_an_author_took_back_does_not_reach_the_feed() {
        let user = UserRef {
            id: Uuid::from_u128(1),
            username: "ada".into(),
        };
        let payload = CommentEditedEvent {
            task: samples::commented_task(Uuid::from_u128(3), Uuid::from_u128(4), user.clone()),
            comment_id: Uuid::from_u128(5),
            author: user,
            previous_excerpt: "hunter2".into(),
            excerpt: "…".into(),
        };
        let event = event(&payload, Uuid::from_u128(3), &Actor::System);
        assert!(!public_data(&event).contains("hunter2"));
        assert!(public_data(&event).contains("…"));
    }

    #[test]
    fn an_email_address_does_not_reach_the_feed() {
        let mut event = registered(&Actor::System);
        let known = Activity::narrate(&event).unwrap();
        assert!(!format!("{known:?}").contains("example.com"));
        assert!(known.data.contains("\"username\":\"ada\""));

        event.event_type = "user.renamed".into();
        let unknown = Activity::narrate(&event).unwrap();
        assert!(!format!("{unknown:?}").contains("example.com"));

        event.data = br#"["ada@example.com"]"#.to_vec().into();
        let odd = Activity::narrate(&event).unwrap();
        assert!(!format!("{odd:?}").contains("example.com"));
    }

    #[test]
    fn other_payloads_are_stored_unchanged() {
        let event = assigned(Uuid::now_v7(), &Actor::System);
        let activity = Activity::narrate(&event).unwrap();
        assert_eq!(activity.data.as_bytes(), event.data);
    }

    #[test]
    fn a_release_event_belongs_to_the_release_of_its_key() {
        let event = assigned(Uuid::now_v7(), &Actor::System);
        let activity = Activity::narrate(&event).unwrap();
        assert_eq!(
            activity.release_id.map(|id| id.to_string()),
            Some(event.key)
        );
        let activity = Activity::narrate(&registered(&Actor::System)).unwrap();
        assert_eq!(activity.release_id, None);
    }

    #[test]
    fn the_actor_is_not_one_of_the_users_it_concerns() {
        let id = Uuid::now_v7();
        let ada = Actor::User {
            id,
            username: "ada".into(),
        };
        let activity = Activity::narrate(&assigned(id, &ada)).unwrap();
        assert!(activity.concerns.is_empty());
        assert_eq!(activity.people().collect::<Vec<_>>(), [id]);
        let activity = Activity::narrate(&assigned(id, &Actor::System)).unwrap();
        assert_eq!(activity.concerns, [id]);
    }

    #[test]
    fn an_unknown_type_or_major_version_gets_a_generic_sentence() {
        let event = assigned(Uuid::now_v7(), &Actor::System);
        let split = Event {
            event_type: "task.split".into(),
            ..event.clone()
        };
        let second = Event {
            dataschema: "task.assigned/2".into(),
            data: br#"{"task": 7}"#.to_vec().into(),
            ..event
        };
        for event in [split, second] {
            let activity = Activity::narrate(&event).unwrap();
            let summary = format!("Slipway caused an event of type {}", event.event_type);
            assert_eq!(activity.summary, summary);
            assert_eq!(activity.data.as_bytes(), event.data);
        }
    }

    #[test]
    fn a_payload_that_violates_the_schema_of_a_known_type_is_refused() {
        for data in [r#"{"taskId": 7}"#, "not JSON", ""] {
            let mut event = assigned(Uuid::now_v7(), &Actor::System);
            event.data = data.as_bytes().to_vec().into();
            Activity::narrate(&event).unwrap_err();
            event.dataschema = "nonsense".into();
            Activity::narrate(&event).unwrap_err();
        }
    }
}
