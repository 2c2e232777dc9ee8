//! One entry of the audit trail, and its hash.
//!
//! Everything in an entry is kept as the text that is hashed, so that an entry that was stored, or
//! is part of an [evidence](super::Evidence), is verified as it is. A text that an entry does not
//! have is empty.
//!
//! The hash is the SHA-256 of these texts, in this order, each as a netstring (its length in bytes,
//! `:`, the text in UTF-8, `,`): [`FORMAT`], the hash of the entry before, and then all other fields
//! of [`Entry`] in the order in which they are declared. `docs/audit.md` describes the same for
//! those who verify it with other programs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use sha2::{Digest as _, Sha256};
use slipway_bus::{Actor, Event};
use slipway_proto::events::{ADMIN, EventType, RELEASES, USERS};

use super::Head;
use crate::activity::{commented_task, release_of};

/// The format of the hashed texts. Another order or other fields get another name.
pub const FORMAT: &str = "slipway-audit/1";

/// What somebody changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// Its number in the chain, from 1, without gaps.
    pub number: u64,
    /// Id of the event that says what happened.
    pub event_id: String,
    /// The event's type, for example `task.updated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Type and major version of the payload, as `task.updated/1`.
    pub schema: String,
    /// When it happened.
    pub time: String,
    /// When it was appended to the chain.
    pub recorded_at: String,
    /// Id of the user who did it; empty: the system.
    pub actor_id: String,
    /// That user's name.
    pub actor_name: String,
    /// Id of the request, as the client got it in `x-request-id`.
    pub request_id: String,
    /// The trace of the request, which finds it in the log.
    pub trace_id: String,
    /// The network address of the client.
    pub address: String,
    /// Id of the object that it is about.
    pub subject: String,
    /// The release that it belongs to.
    pub release_id: String,
    /// Its number among the entries of that release, from 1, without gaps; 0 without a release.
    pub release_position: u64,
    /// The task that it is about.
    pub task_id: String,
    /// The account that it is about.
    pub user_id: String,
    /// The event's payload, as it was published: JSON.
    pub data: String,
    /// The hash of the entry before; of the first entry, that of [`Head::NONE`].
    pub previous_hash: String,
    /// Its own hash.
    pub hash: String,
}

impl Entry {
    /// The entry for an event, before it is [chained](Self::chained).
    ///
    /// # Errors
    /// If its payload is not JSON: then it cannot be kept as it is.
    pub fn of(event: &Event, now: Timestamp) -> Result<Self, String> {
        let data = std::str::from_utf8(&event.data);
        let data = data.map_err(|error| format!("its payload is not text: {error}"))?;
        serde_json::from_str::<IgnoredAny>(data)
            .map_err(|error| format!("its payload is not JSON: {error}"))?;
        let (actor_id, actor_name) = match &event.actor {
            Actor::User { id, username } => (id.to_string(), username.clone()),
            Actor::System => Default::default(),
        };
        let text = |id: Option<String>| id.unwrap_or_default();
        let address = event.request.address;
        Ok(Self {
            number: 0,
            event_id: event.id.to_string(),
            event_type: event.event_type.clone(),
            schema: event.dataschema.clone(),
            time: event.time.to_string(),
            recorded_at: now.to_string(),
            actor_id,
            actor_name,
            request_id: text(event.request.id.clone()),
            trace_id: event.trace.trace_id(),
            address: text(address.map(|address| address.to_string())),
            subject: event.subject.clone(),
            release_id: text(release_of(event).map(|id| id.to_string())),
            release_position: 0,
            task_id: text(task_of(event)),
            user_id: text(account_of(event)),
            data: data.to_owned(),
            previous_hash: String::new(),
            hash: String::new(),
        })
    }

    /// The entry behind `head`, and behind `of_release` others of its release.
    #[must_use]
    pub fn chained(self, head: &Head, of_release: u64) -> Self {
        let mut chained = Self {
            number: head.number + 1,
            previous_hash: head.hash.clone(),
            release_position: match self.release_id.is_empty() {
                true => 0,
                false => of_release + 1,
            },
            ..self
        };
        chained.hash = chained.content_hash();
        chained
    }

    /// The hash that its content has.
    #[must_use]
    pub fn content_hash(&self) -> String {
        let mut hasher = Sha256::new();
        let mut add = |text: &str| {
            hasher.update(text.len().to_string());
            hasher.update(":");
            hasher.update(text);
            hasher.update(",");
        };
        add(FORMAT);
        add(&self.previous_hash);
        add(&self.number.to_string());
        for text in [
            &self.event_id,
            &self.event_type,
            &self.schema,
            &self.time,
            &self.recorded_at,
            &self.actor_id,
            &self.actor_name,
            &self.request_id,
            &self.trace_id,
            &self.address,
            &self.subject,
            &self.release_id,
            &self.release_position.to_string(),
            &self.task_id,
            &self.user_id,
            &self.data,
        ] {
            add(text);
        }
        let digest = hasher.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The end of the chain up to this entry.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            number: self.number,
            hash: self.hash.clone(),
        }
    }

    /// When it happened; the earliest of all times if the text is none.
    #[must_use]
    pub fn happened(&self) -> Timestamp {
        self.time.parse().unwrap_or(Timestamp::MIN)
    }

    /// Size of its large texts in bytes; it limits the size of a page.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.data.len() + self.subject.len() + 1_000
    }

    /// The users who find it: the one who did it, and the one whose account it is about.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        let account = (self.user_id != self.actor_id).then_some(&self.user_id);
        let users = [Some(&self.actor_id), account].into_iter().flatten();
        users.map(String::as_str).filter(|id| !id.is_empty())
    }
}

/// The account that an event is about: its key. Acts of administrators that change no account have
/// the administrator as their key.
fn account_of(event: &Event) -> Option<String> {
    use EventType as T;
    let is_of_account = match event.topic.as_str() {
        topic if topic == USERS.name => true,
        topic if topic == ADMIN.name => !matches!(
            T::named(&event.event_type),
            Some(T::TemplateUpdated | T::TemplateDeleted | T::DeadLetterReplayed)
        ),
        _ => false,
    };
    is_of_account.then(|| event.key.clone())
}

/// The task that an event is about: its subject, or the task that was commented on.
fn task_of(event: &Event) -> Option<String> {
    if event.topic == RELEASES.name && event.event_type.starts_with("task.") {
        return Some(event.subject.clone());
    }
    Some(commented_task(event)?.id.to_string())
}

#[cfg(test)]
mod tests {
    use slipway_bus::event::Origin;
    use slipway_proto::events::{CommentPostedEvent, Role, UserRef, UserRegisteredEvent};
    use slipway_runtime::request::RequestInfo;
    use uuid::Uuid;

    use super::*;
    use crate::samples;

    fn now() -> Timestamp {
        "2026-01-02T03:04:06Z".parse().unwrap()
    }

    fn registered() -> Event {
        let id = Uuid::from_u128(7);
        let payload = UserRegisteredEvent {
            user_id: id,
            username: "ada".into(),
            email: "ada@example.com".into(),
            role: Role::Developer,
        };
        let actor = Actor::User {
            id: Uuid::from_u128(1),
            username: "admin".into(),
        };
        let event = Event::new(
            &payload,
            &Origin {
                service: "release-svc",
                key: id,
                subject: id,
                actor: &actor,
                time: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            },
        );
        Event {
            id: Uuid::from_u128(2),
            request: RequestInfo {
                id: Some("r-1".into()),
                address: Some([192, 0, 2, 1].into()),
            },
            ..event
        }
    }

    #[test]
    fn an_entry_says_who_did_it_from_where_and_the_payload_as_it_was_published() {
        let event = registered();
        let entry = Entry::of(&event, now()).unwrap();
        assert_eq!(entry.actor_name, "admin");
        assert_eq!((&*entry.request_id, &*entry.address), ("r-1", "192.0.2.1"));
        assert_eq!(entry.trace_id, event.trace.trace_id());
        assert_eq!(entry.user_id, Uuid::from_u128(7).to_string());
        assert_eq!((&*entry.release_id, &*entry.task_id), ("", ""));
        assert_eq!(entry.data.as_bytes(), event.data);
        assert_eq!(entry.time, "2026-01-02T03:04:05.678Z");
        assert_eq!(entry.users().count(), 2);
    }

    #[test]
    fn what_the_system_does_to_an_account_is_found_by_the_account() {
        let id = Uuid::from_u128(7);
        let of = |topic: &'static str, event_type: &str| Event {
            topic: topic.into(),
            event_type: event_type.to_owned(),
            key: id.to_string(),
            actor: Actor::System,
            ..registered()
        };
        for (topic, kind, is_of_account) in [
            ("slipway.users", "user.registered", true),
            ("slipway.admin", "user.password_changed", true),
            ("slipway.admin", "session.ended", true),
            ("slipway.admin", "template.updated", false),
            ("slipway.releases", "release.created", false),
        ] {
            let entry = Entry::of(&of(topic, kind), now()).unwrap();
            assert_eq!(entry.user_id == id.to_string(), is_of_account, "{kind}");
        }
    }

    #[test]
    fn a_comment_belongs_to_its_task_and_release() {
        let user = UserRef {
            id: Uuid::from_u128(1),
            username: "ada".into(),
        };
        let payload = CommentPostedEvent {
            task: samples::commented_task(Uuid::from_u128(3), Uuid::from_u128(4), user.clone()),
            comment_id: Uuid::from_u128(5),
            author: user,
            excerpt: "?".into(),
            mentions: vec![],
        };
        let event = Event::new(
            &payload,
            &Origin {
                service: "forum-svc",
                key: Uuid::from_u128(3),
                subject: Uuid::from_u128(5),
                actor: &Actor::System,
                time: now(),
            },
        );
        let entry = Entry::of(&event, now()).unwrap();
        assert_eq!(entry.task_id, Uuid::from_u128(3).to_string());
        assert_eq!(entry.release_id, Uuid::from_u128(4).to_string());
        let chained = entry.chained(&Head::none(), 6);
        assert_eq!((chained.number, chained.release_position), (1, 7));
    }

    #[test]
    fn a_payload_that_is_not_json_is_refused() {
        for data in [&b"not JSON"[..], b"", b"\"\xff\""] {
            let event = Event {
                data: data.to_vec().into(),
                ..registered()
            };
            Entry::of(&event, now()).unwrap_err();
        }
    }

    /// Data that is stored, and programs that others have written, depend on it.
    #[test]
    fn the_format_of_the_hash_does_not_change() {
        let event = Event {
            trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
                .parse()
                .unwrap(),
            ..registered()
        };
        let entry = Entry::of(&event, now()).unwrap();
        let hash = entry.chained(&Head::none(), 0).hash;
        assert_eq!(
            hash,
            "63ab2ed5ebff0a50d0779237353dbc01eb70fef6f7b20b501b47e62214b15878"
        );
    }
}
