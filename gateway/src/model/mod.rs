//! The JSON types of the API, and their translation from and to proto messages.
//!
//! Fields without a value are `null`, never absent.

mod account;
mod activity;
mod alert;
mod audit;
mod chat;
mod comment;
mod dead_letter;
mod delivery;
mod event;
mod incident;
mod notification;
mod paging;
mod preference;
mod proto;
mod recurrence;
mod release;
mod session;
mod task;
mod task_change;
mod task_list;
mod template;
mod token;
mod user;

pub(crate) use account::{AccountChange, AccountsQuery, ManagedAccount, NewAccount};
pub(crate) use activity::{ActivityEntry, ActivityQuery, NoNumber, Sequence, StreamQuery};
pub(crate) use alert::AlertsHook;
pub(crate) use audit::{AuditEntry, AuditQuery, Evidence};
pub(crate) use chat::{
    AssistantAnswer, ChatMessage, ChatSession, HistoryQuery, NewSession, Said, SessionTitle,
    SessionsQuery,
};
pub(crate) use comment::{
    Comment, CommentItem, DiscussionQuery, NewComment, View, answered, nest, replies_page,
};
pub(crate) use dead_letter::{
    DeadLetter, DeadLetterSummary, DeadLettersQuery, Replay, ReplayMany, ReplayedMany,
};
pub(crate) use delivery::{ConfirmedDeliveries, DeliveriesHook};
pub(crate) use event::{AcceptedEvent, EventStatus, NewEvent};
pub(crate) use incident::{Incident, IncidentsQuery};
pub(crate) use notification::{AllNotificationsQuery, Notification, NotificationsQuery};
pub(crate) use paging::{NoConditions, OutOfBounds, Page, Paging};
pub(crate) use preference::Preferences;
pub(crate) use proto::{Malformed, required};
pub(crate) use release::{
    NewRelease, Release, ReleaseChange, ReleaseQuery, ReleaseSummary, ReleaseView,
};
pub(crate) use session::{SessionsOfMine, StartedSession};
pub(crate) use task::{NewTask, Task, TaskView};
pub(crate) use task_change::{Pause, TaskChange};
pub(crate) use task_list::{MyTasksQuery, TasksQuery};
pub(crate) use template::{
    NewTemplate, Preview, Rendered, Template, TemplateSummary, TemplateVersion,
};
pub(crate) use token::{CreatedToken, NewToken, ProgramToken, TokensOfMine};
pub(crate) use user::{
    Account, BrowserSession, Colleague, Credentials, ForgottenPassword, PasswordChange,
    PasswordReset, Refresh, Registration, Session, UserRef, UsersQuery,
};

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};
use slipway_runtime::{
    id::{self, MalformedId},
    json::refused,
};
use utoipa::ToSchema;
use uuid::Uuid;

/// An identifier: a UUID in its hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct Id(pub(crate) Uuid);

impl FromStr for Id {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        id::parse(text).map(Self)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(refused)
    }
}
