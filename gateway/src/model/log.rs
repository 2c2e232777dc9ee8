//! What happened and failed, in one list.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::notify::v1;
use utoipa::{IntoParams, ToSchema};

use super::{
    Id, Malformed, Paging, UserRef,
    proto::{self, required, to_proto},
};
use crate::extract::{list, time, trimmed};

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum LogKind {
    /// A fault of the system.
    Incident,
    /// An event that a consumer group could not handle.
    DeadLetter,
    /// A notification that was given up.
    FailedNotification,
    /// A change that an administrator made.
    Act,
}

impl FromStr for LogKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "INCIDENT" => Ok(Self::Incident),
            "DEAD_LETTER" => Ok(Self::DeadLetter),
            "FAILED_NOTIFICATION" => Ok(Self::FailedNotification),
            "ACT" => Ok(Self::Act),
            _ => Err("must be INCIDENT, DEAD_LETTER, FAILED_NOTIFICATION or ACT"),
        }
    }
}

/// Something that happened or failed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogEntry {
    kind: LogKind,
    /// Of the incident, the dead letter, the notification, or the event about the act.
    id: Id,
    /// When an incident was last seen, a dead letter was received, a notification was created, or an
    /// act happened.
    time: Timestamp,
    /// What happened, in one line.
    summary: String,
    /// Why or how; may be empty.
    detail: String,
    /// The kind of an incident, or the type of the event or notification.
    r#type: String,
    /// Who did it; `null` for the system.
    #[schema(required)]
    actor: Option<UserRef>,
    /// Whether somebody has to do something: the incident is open, the dead letter waits.
    open: bool,
    #[schema(required)]
    release_id: Option<Id>,
    #[schema(required)]
    task_id: Option<Id>,
}

impl TryFrom<v1::LogEntry> for LogEntry {
    type Error = Malformed;

    fn try_from(entry: v1::LogEntry) -> Result<Self, Malformed> {
        let kind = match entry.kind() {
            v1::LogKind::Unspecified => None,
            v1::LogKind::Incident => Some(LogKind::Incident),
            v1::LogKind::DeadLetter => Some(LogKind::DeadLetter),
            v1::LogKind::FailedNotification => Some(LogKind::FailedNotification),
            v1::LogKind::Act => Some(LogKind::Act),
        };
        Ok(Self {
            kind: required("kind", kind)?,
            id: proto::id("log id", &entry.id)?,
            time: proto::time("time", entry.time)?,
            summary: entry.summary,
            detail: entry.detail,
            r#type: entry.r#type,
            actor: entry.actor.map(UserRef::try_from).transpose()?,
            open: entry.open,
            release_id: proto::optional_id("release_id", &entry.release_id)?,
            task_id: proto::optional_id("task_id", &entry.task_id)?,
        })
    }
}

/// The parameters of the log: all conditions must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// Only these kinds. Repeat it, or separate several by commas.
    #[serde(default, rename = "kind", deserialize_with = "list")]
    #[param(value_type = Vec<String>, max_items = 20)]
    kinds: Vec<LogKind>,
    /// Only at this time or later.
    #[serde(default, deserialize_with = "time")]
    from: Option<Timestamp>,
    /// Only before this time.
    #[serde(default, deserialize_with = "time")]
    to: Option<Timestamp>,
    /// With this text in the summary, the detail, the type or the name of the actor, without regard
    /// to case; at most 200 characters.
    #[serde(default, deserialize_with = "trimmed")]
    #[param(value_type = Option<String>)]
    q: String,
}

impl LogQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListLogEntriesRequest {
        let kinds = self.kinds.into_iter().map(|kind| match kind {
            LogKind::Incident => v1::LogKind::Incident,
            LogKind::DeadLetter => v1::LogKind::DeadLetter,
            LogKind::FailedNotification => v1::LogKind::FailedNotification,
            LogKind::Act => v1::LogKind::Act,
        });
        v1::ListLogEntriesRequest {
            filter: Some(v1::LogFilter {
                kinds: kinds.map(i32::from).collect(),
                from: self.from.map(to_proto),
                to: self.to.map(to_proto),
                text: self.q,
            }),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}
