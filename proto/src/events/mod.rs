//! The events on the bus: the catalogue of their types, and for each type a struct for the payload
//! with its JSON Schema under `schemas/`.
//!
//! The bus defines the envelope (CloudEvents 1.0, binary mode); this module defines only the value
//! of a record. Within a major version a payload may only gain optional fields, so that old readers
//! and old writers continue to work; a test checks this against the committed schemas.

mod admin;
mod change;
mod chat;
mod comment;
mod notification;
mod release;
mod system;
mod task;
mod token;
mod user;

pub use admin::{DeadLetterReplayedEvent, TemplateDeletedEvent, TemplateUpdatedEvent};
pub use change::FieldChange;
pub use chat::ChatAnsweredEvent;
pub use comment::{
    CommentDeletedEvent, CommentEditedEvent, CommentPostedEvent, CommentRepliedEvent, CommentedTask,
};
pub use notification::{
    NotificationFailedEvent, NotificationRequestedEvent, NotificationSentEvent,
};
pub use release::{
    ReleaseCompletedEvent, ReleaseCreatedEvent, ReleaseDeletedEvent, ReleaseReadyEvent,
    ReleaseReopenedEvent, ReleaseUpdatedEvent,
};
pub use system::SystemErrorEvent;
pub use task::{
    HotfixTaskAddedEvent, SeriesEnd, StaleTaskDetectedEvent, TaskAssignedEvent, TaskCompletedEvent,
    TaskCreatedEvent, TaskData, TaskDeletedEvent, TaskPausedEvent, TaskPriority, TaskReadyEvent,
    TaskRecurrence, TaskRecurrenceEndedEvent, TaskReminderDueEvent, TaskStartedEvent, TaskState,
    TaskUpdatedEvent,
};
pub use token::{TokenCreatedEvent, TokenRevokedEvent, TokenScope};
pub use user::{
    PasswordChange, PasswordChangedEvent, PasswordResetRequestedEvent, Role, SessionEndReason,
    SessionEndedEvent, UserDisabledEvent, UserEnabledEvent, UserInvitedEvent, UserRegisteredEvent,
    UserRoleChangedEvent,
};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// A topic of the bus and the number of partitions it is created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// The name on the broker.
    pub name: &'static str,
    /// What its events are about.
    pub about: &'static str,
    /// The key of its records.
    pub key: &'static str,
    /// The number of partitions. Records with the same key go to the same partition, in order.
    pub partitions: u32,
}

/// User events; keyed by user id.
pub const USERS: Topic = Topic {
    name: "slipway.users",
    about: "accounts",
    key: "id of the account",
    partitions: 6,
};

/// Release and task events; keyed by release id.
pub const RELEASES: Topic = Topic {
    name: "slipway.releases",
    about: "releases and their tasks",
    key: "id of the release",
    partitions: 12,
};

/// Comment events; keyed by task id.
pub const FORUM: Topic = Topic {
    name: "slipway.forum",
    about: "discussions",
    key: "id of the task",
    partitions: 12,
};

/// Notification events; keyed by notification id.
pub const NOTIFICATIONS: Topic = Topic {
    name: "slipway.notifications",
    about: "notifications, and events of other programs",
    key: "id of the notification, or the event that was announced",
    partitions: 12,
};

/// Events about conversations with the assistant; keyed by session id.
pub const CHAT: Topic = Topic {
    name: "slipway.chat",
    about: "conversations with the assistant",
    key: "id of the session",
    partitions: 6,
};

/// Faults of the system itself; keyed by service.
pub const SYSTEM: Topic = Topic {
    name: "slipway.system",
    about: "faults of the system itself",
    key: "name of the service that noticed it",
    partitions: 3,
};

/// What only administrators see: acts that change Slipway itself or an account, ends of sessions,
/// changes of passwords, links in mails, and tokens for programs; keyed by the id of the
/// administrator or of the account.
pub const ADMIN: Topic = Topic {
    name: "slipway.admin",
    about: "what administrators change of Slipway itself and of accounts, ends of sessions, changes \
            of passwords, links in mails, tokens for programs",
    key: "id of the administrator, or of the account",
    partitions: 3,
};

/// Every topic with events.
pub const TOPICS: &[Topic] = &[USERS, RELEASES, FORUM, CHAT, NOTIFICATIONS, SYSTEM, ADMIN];

/// The payload of one type of event.
pub trait Payload: Serialize + DeserializeOwned + JsonSchema {
    /// The CloudEvents type, for example `task.started`.
    const TYPE: &'static str;
    /// The major version of the payload's schema.
    const MAJOR: u32;
    /// The topic on which it is published.
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

/// Declares every type of event: its payload, its CloudEvents type with the major version of
/// the payload's schema, and its topic.
macro_rules! catalogue {
    ($($variant:ident($payload:ident): $name:literal / $major:literal on $topic:ident,)+) => {
        /// Every type of event. Code that depends on the type should match all variants, so that
        /// the compiler lists the places that a new type affects.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventType {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
        }

        /// An event's payload, by the event's type.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(clippy::large_enum_variant, reason = "only one is in memory at a time")]
        pub enum EventData {
            $(#[doc = concat!("`", $name, "`")] $variant($payload),)+
            /// An unknown type, or an unknown major version of a type, published by a newer version
            /// of Slipway.
            Unknown,
        }

        impl EventType {
            /// All types, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The CloudEvents type, for example `task.started`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The major version of the payload's schema.
            #[must_use]
            pub const fn major(self) -> u32 {
                match self {
                    $(Self::$variant => $major,)+
                }
            }

            /// The topic on which it is published.
            #[must_use]
            pub const fn topic(self) -> Topic {
                match self {
                    $(Self::$variant => $topic,)+
                }
            }

            /// The JSON Schema of the payload.
            #[must_use]
            pub fn schema(self) -> Schema {
                match self {
                    $(Self::$variant => schemars::schema_for!($payload),)+
                }
            }

            /// Reads a payload of this type.
            ///
            /// # Errors
            /// If the payload violates the schema.
            pub fn read(self, payload: &[u8]) -> Result<EventData, serde_json::Error> {
                match self {
                    $(Self::$variant => serde_json::from_slice(payload).map(EventData::$variant),)+
                }
            }
        }

        $(impl Payload for $payload {
            const TYPE: &'static str = $name;
            const MAJOR: u32 = $major;
            const TOPIC: Topic = $topic;
        })+
    };
}

catalogue! {
    UserRegistered(UserRegisteredEvent): "user.registered" / 1 on USERS,
    ReleaseCreated(ReleaseCreatedEvent): "release.created" / 1 on RELEASES,
    ReleaseReady(ReleaseReadyEvent): "release.ready" / 1 on RELEASES,
    ReleaseCompleted(ReleaseCompletedEvent): "release.completed" / 1 on RELEASES,
    ReleaseReopened(ReleaseReopenedEvent): "release.reopened" / 1 on RELEASES,
    ReleaseUpdated(ReleaseUpdatedEvent): "release.updated" / 1 on RELEASES,
    ReleaseDeleted(ReleaseDeletedEvent): "release.deleted" / 1 on RELEASES,
    TaskCreated(TaskCreatedEvent): "task.created" / 1 on RELEASES,
    TaskUpdated(TaskUpdatedEvent): "task.updated" / 1 on RELEASES,
    TaskDeleted(TaskDeletedEvent): "task.deleted" / 1 on RELEASES,
    TaskAssigned(TaskAssignedEvent): "task.assigned" / 1 on RELEASES,
    TaskReady(TaskReadyEvent): "task.ready" / 1 on RELEASES,
    TaskStarted(TaskStartedEvent): "task.started" / 1 on RELEASES,
    TaskPaused(TaskPausedEvent): "task.paused" / 1 on RELEASES,
    TaskCompleted(TaskCompletedEvent): "task.completed" / 1 on RELEASES,
    TaskRecurrenceEnded(TaskRecurrenceEndedEvent): "task.recurrence_ended" / 1 on RELEASES,
    HotfixTaskAdded(HotfixTaskAddedEvent): "task.hotfix_added" / 1 on RELEASES,
    StaleTaskDetected(StaleTaskDetectedEvent): "task.stale_detected" / 1 on RELEASES,
    TaskReminderDue(TaskReminderDueEvent): "task.reminder_due" / 1 on RELEASES,
    CommentPosted(CommentPostedEvent): "comment.posted" / 1 on FORUM,
    CommentReplied(CommentRepliedEvent): "comment.replied" / 1 on FORUM,
    CommentEdited(CommentEditedEvent): "comment.edited" / 1 on FORUM,
    CommentDeleted(CommentDeletedEvent): "comment.deleted" / 1 on FORUM,
    ChatAnswered(ChatAnsweredEvent): "chat.answered" / 1 on CHAT,
    NotificationRequested(NotificationRequestedEvent): "notification.requested" / 1 on NOTIFICATIONS,
    NotificationSent(NotificationSentEvent): "notification.sent" / 1 on NOTIFICATIONS,
    NotificationFailed(NotificationFailedEvent): "notification.failed" / 1 on NOTIFICATIONS,
    SystemError(SystemErrorEvent): "system.error" / 1 on SYSTEM,
    TemplateUpdated(TemplateUpdatedEvent): "template.updated" / 1 on ADMIN,
    TemplateDeleted(TemplateDeletedEvent): "template.deleted" / 1 on ADMIN,
    DeadLetterReplayed(DeadLetterReplayedEvent): "dead_letter.replayed" / 1 on ADMIN,
    SessionEnded(SessionEndedEvent): "session.ended" / 1 on ADMIN,
    PasswordChanged(PasswordChangedEvent): "user.password_changed" / 1 on ADMIN,
    PasswordResetRequested(PasswordResetRequestedEvent): "user.reset_requested" / 1 on ADMIN,
    UserInvited(UserInvitedEvent): "user.invited" / 1 on ADMIN,
    TokenCreated(TokenCreatedEvent): "token.created" / 1 on ADMIN,
    TokenRevoked(TokenRevokedEvent): "token.revoked" / 1 on ADMIN,
    UserDisabled(UserDisabledEvent): "user.disabled" / 1 on ADMIN,
    UserEnabled(UserEnabledEvent): "user.enabled" / 1 on ADMIN,
    UserRoleChanged(UserRoleChangedEvent): "user.role_changed" / 1 on ADMIN,
}

impl EventType {
    /// The type with this name; `None` if only a newer version of Slipway knows it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }
}

impl EventData {
    /// Reads the payload of an event of the type `name`. Without a major version, the known one is
    /// assumed.
    ///
    /// # Errors
    /// If type and version are known and the payload violates the schema.
    pub fn read(name: &str, major: Option<u32>, payload: &[u8]) -> Result<Self, serde_json::Error> {
        match EventType::named(name) {
            Some(known) if major.is_none_or(|major| major == known.major()) => known.read(payload),
            _ => Ok(Self::Unknown),
        }
    }
}
