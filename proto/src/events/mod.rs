//! The events on the bus: one struct per type, its JSON Schema under `schemas/`.
//!
//! The envelope (CloudEvents 1.0, binary mode) is the bus's business; here is only what
//! a record's value holds. Within a major version a payload changes only by optional
//! fields, so that old readers and old writers go on working: a test holds the schemas.

mod chat;
mod comment;
mod notification;
mod release;
mod system;
mod task;
mod user;

pub use chat::ChatAnsweredEvent;
pub use comment::{CommentPostedEvent, CommentRepliedEvent, CommentedTask};
pub use notification::{
    NotificationFailedEvent, NotificationRequestedEvent, NotificationSentEvent,
};
pub use release::{
    ReleaseCompletedEvent, ReleaseCreatedEvent, ReleaseReadyEvent, ReleaseReopenedEvent,
};
pub use system::SystemErrorEvent;
pub use task::{
    HotfixTaskAddedEvent, StaleTaskDetectedEvent, TaskAssignedEvent, TaskCompletedEvent,
    TaskCreatedEvent, TaskData, TaskReadyEvent, TaskReminderDueEvent, TaskStartedEvent, TaskState,
};
pub use user::{Role, UserRegisteredEvent};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// A topic of the bus and the number of partitions it is created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Its name on the broker.
    pub name: &'static str,
    /// Its partitions; records with one key stay in one of them, in order.
    pub partitions: u32,
}

/// User events; keyed by user id.
pub const USERS: Topic = Topic {
    name: "slipway.users",
    partitions: 6,
};

/// Release and task events; keyed by release id.
pub const RELEASES: Topic = Topic {
    name: "slipway.releases",
    partitions: 12,
};

/// Comment events; keyed by task id.
pub const FORUM: Topic = Topic {
    name: "slipway.forum",
    partitions: 12,
};

/// Notification events; keyed by notification id.
pub const NOTIFICATIONS: Topic = Topic {
    name: "slipway.notifications",
    partitions: 12,
};

/// Events about conversations with the assistant; keyed by session id.
pub const CHAT: Topic = Topic {
    name: "slipway.chat",
    partitions: 6,
};

/// Faults of the system itself; keyed by service.
pub const SYSTEM: Topic = Topic {
    name: "slipway.system",
    partitions: 3,
};

/// Every topic with events.
pub const TOPICS: &[Topic] = &[USERS, RELEASES, FORUM, CHAT, NOTIFICATIONS, SYSTEM];

/// The payload of one type of event.
pub trait Payload: Serialize + DeserializeOwned + JsonSchema {
    /// The CloudEvents type, for example `task.started`.
    const TYPE: &'static str;
    /// The major version of the payload's schema.
    const MAJOR: u32;
    /// Where it is published.
    const TOPIC: Topic;
}

/// A user, by id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserRef {
    /// Id of the account.
    pub id: Uuid,
    /// The name as registered.
    pub username: String,
}

/// A type of event with the schema of its payload.
pub struct Kind {
    /// The CloudEvents type.
    pub event_type: &'static str,
    /// The major version of the schema.
    pub major: u32,
    /// Where it is published.
    pub topic: Topic,
    /// Generates the JSON Schema of the payload.
    pub schema: fn() -> Schema,
    /// Whether a payload is of it, as a reader of the type finds out.
    pub check: fn(&[u8]) -> Result<(), serde_json::Error>,
}

const fn kind<P: Payload>() -> Kind {
    Kind {
        event_type: P::TYPE,
        major: P::MAJOR,
        topic: P::TOPIC,
        schema: || schemars::schema_for!(P),
        check: |payload| serde_json::from_slice::<P>(payload).map(drop),
    }
}

/// Every type of event there is, in the order of the documentation.
pub const CATALOGUE: &[Kind] = &[
    kind::<UserRegisteredEvent>(),
    kind::<ReleaseCreatedEvent>(),
    kind::<ReleaseReadyEvent>(),
    kind::<ReleaseCompletedEvent>(),
    kind::<ReleaseReopenedEvent>(),
    kind::<TaskCreatedEvent>(),
    kind::<TaskAssignedEvent>(),
    kind::<TaskReadyEvent>(),
    kind::<TaskStartedEvent>(),
    kind::<TaskCompletedEvent>(),
    kind::<HotfixTaskAddedEvent>(),
    kind::<StaleTaskDetectedEvent>(),
    kind::<TaskReminderDueEvent>(),
    kind::<CommentPostedEvent>(),
    kind::<CommentRepliedEvent>(),
    kind::<ChatAnsweredEvent>(),
    kind::<NotificationRequestedEvent>(),
    kind::<NotificationSentEvent>(),
    kind::<NotificationFailedEvent>(),
    kind::<SystemErrorEvent>(),
];

macro_rules! payload {
    ($name:ty, $type:literal, $topic:expr) => {
        impl $crate::events::Payload for $name {
            const TYPE: &'static str = $type;
            const MAJOR: u32 = 1;
            const TOPIC: $crate::events::Topic = $topic;
        }
    };
}
use payload;
