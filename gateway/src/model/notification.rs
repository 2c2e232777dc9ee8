//! Notifications by email, with their status and attempts.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::notify::v1;
use utoipa::{IntoParams, ToSchema};

use super::{
    Id, Malformed, Paging, UserRef,
    proto::{self, required, to_proto},
};
use crate::extract::{filled, parsed, time, trimmed};

/// The status of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum NotificationStatus {
    /// Waits until it is due: at once, after a failed attempt, or after quiet hours.
    Queued,
    /// It is being sent.
    Sending,
    /// The mail server accepted it.
    Sent,
    /// Its delivery was confirmed.
    Delivered,
    /// It will not be tried again; `reason` says why.
    Failed,
    /// The recipient's preferences suppress it; `reason` says why.
    Suppressed,
}

/// The statuses: name, API type, proto type.
const STATUSES: [(&str, NotificationStatus, v1::NotificationState); 6] = {
    use NotificationStatus as Status;
    use v1::NotificationState as State;
    [
        ("QUEUED", Status::Queued, State::Queued),
        ("SENDING", Status::Sending, State::Sending),
        ("SENT", Status::Sent, State::Sent),
        ("DELIVERED", Status::Delivered, State::Delivered),
        ("FAILED", Status::Failed, State::Failed),
        ("SUPPRESSED", Status::Suppressed, State::Suppressed),
    ]
};

impl FromStr for NotificationStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = STATUSES.iter().find(|(name, ..)| *name == text);
        found
            .map(|(_, status, _)| *status)
            .ok_or("must be QUEUED, SENDING, SENT, DELIVERED, FAILED or SUPPRESSED")
    }
}

impl NotificationStatus {
    fn of(state: v1::NotificationState) -> Option<Self> {
        let found = STATUSES.iter().find(|(.., known)| *known == state);
        found.map(|(_, status, _)| *status)
    }

    fn state(self) -> v1::NotificationState {
        let found = STATUSES.iter().find(|(_, known, _)| *known == self);
        found.map_or(v1::NotificationState::Unspecified, |(.., state)| *state)
    }
}

/// The notification of one recipient about one event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notification {
    id: Id,
    /// The event that it is about.
    event_id: Id,
    /// Its type: the type of the event, such as `task.assigned`; or `task.commented` if the owner
    /// of a task is notified of a comment.
    r#type: String,
    /// `EMAIL`.
    channel: String,
    /// The account that it is for; `null` if it is for an address without an account.
    #[schema(required)]
    recipient: Option<UserRef>,
    /// The address that it is for, if it is not for an account.
    #[schema(required)]
    address: Option<String>,
    subject: String,
    status: NotificationStatus,
    /// Why it was suppressed or failed, or why it waits for a digest: a code, a colon and a text.
    /// For administrators, the text of a failure is the mail server's message.
    #[schema(required)]
    reason: Option<String>,
    /// While it is queued: the time of the next attempt.
    #[schema(required)]
    due_at: Option<Timestamp>,
    /// The attempts, oldest first.
    attempts: Vec<Attempt>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// The digest that contains it, if any: all notifications in a digest have the same id.
    #[schema(required)]
    digest_id: Option<Id>,
}

/// One attempt to send a notification.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Attempt {
    at: Timestamp,
    duration_ms: i64,
    /// `ACCEPTED`, `TEMPORARY`, `PERMANENT`, `UNREACHABLE` or `INTERRUPTED`; `DELIVERED` or
    /// `BOUNCED` if the mail server's operator confirmed it later.
    outcome: String,
    /// The answer of the mail server, or the message of its operator; for administrators only.
    #[schema(required)]
    answer: Option<String>,
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

impl TryFrom<v1::Notification> for Notification {
    type Error = Malformed;

    fn try_from(notification: v1::Notification) -> Result<Self, Malformed> {
        let status = NotificationStatus::of(notification.state());
        let attempts = notification.attempts.into_iter().map(Attempt::try_from);
        Ok(Self {
            id: proto::id("notification id", &notification.id)?,
            event_id: proto::id("event id", &notification.event_id)?,
            r#type: notification.r#type,
            channel: notification.channel,
            recipient: notification.recipient.map(UserRef::try_from).transpose()?,
            address: non_empty(notification.address),
            subject: notification.subject,
            status: required("state", status)?,
            reason: non_empty(notification.reason),
            due_at: proto::optional_time("due_at", notification.due_at)?,
            attempts: attempts.collect::<Result<_, _>>()?,
            created_at: proto::time("created_at", notification.created_at)?,
            updated_at: proto::time("updated_at", notification.updated_at)?,
            digest_id: non_empty(notification.digest_id)
                .map(|id| proto::id("digest id", &id))
                .transpose()?,
        })
    }
}

impl TryFrom<v1::NotificationAttempt> for Attempt {
    type Error = Malformed;

    fn try_from(attempt: v1::NotificationAttempt) -> Result<Self, Malformed> {
        Ok(Self {
            at: proto::time("time", attempt.time)?,
            duration_ms: attempt.duration_ms,
            outcome: attempt.outcome,
            answer: non_empty(attempt.answer),
        })
    }
}

/// The order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Sort {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
}

impl FromStr for Sort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "newest" => Ok(Self::Newest),
            "oldest" => Ok(Self::Oldest),
            _ => Err("must be newest or oldest"),
        }
    }
}

/// The parameters of the caller's notifications: all conditions must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NotificationsQuery {
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<NotificationStatus>, inline)]
    status: Option<NotificationStatus>,
    /// One type, such as `task.assigned`. One that no notification can have is refused.
    #[serde(default, deserialize_with = "filled")]
    #[param(value_type = Option<String>)]
    r#type: String,
    /// Made at this time or later.
    #[serde(default, deserialize_with = "time")]
    from: Option<Timestamp>,
    /// Made before this time.
    #[serde(default, deserialize_with = "time")]
    to: Option<Timestamp>,
    /// With this text in the subject, without regard to case; at most 200 characters. A
    /// search looks at 10,000 notifications a page: a page may have fewer than `limit`, or
    /// none, though `nextCursor` leads on.
    #[serde(default, deserialize_with = "trimmed")]
    #[param(value_type = Option<String>)]
    q: String,
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<Sort>, inline)]
    sort: Option<Sort>,
}

impl NotificationsQuery {
    fn filter(self) -> (v1::NotificationFilter, bool) {
        let state = self.status.map(NotificationStatus::state);
        let filter = v1::NotificationFilter {
            state: state.unwrap_or_default().into(),
            r#type: self.r#type,
            from: self.from.map(to_proto),
            to: self.to.map(to_proto),
            text: self.q,
        };
        (filter, self.sort == Some(Sort::Oldest))
    }

    /// The request for a page of the caller's notifications.
    pub(crate) fn page(self, paging: Paging) -> v1::ListNotificationsRequest {
        let (filter, ascending) = self.filter();
        v1::ListNotificationsRequest {
            filter: Some(filter),
            ascending,
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}

/// The parameters of all notifications: all conditions must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AllNotificationsQuery {
    /// Only of this recipient: a name, an account's id, or an address, which includes the account
    /// that has it.
    #[serde(default, deserialize_with = "filled")]
    #[param(value_type = Option<String>)]
    recipient: String,
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<NotificationStatus>, inline)]
    status: Option<NotificationStatus>,
    /// One type, such as `task.assigned`. One that no notification can have is refused.
    #[serde(default, deserialize_with = "filled")]
    #[param(value_type = Option<String>)]
    r#type: String,
    /// Made at this time or later.
    #[serde(default, deserialize_with = "time")]
    from: Option<Timestamp>,
    /// Made before this time.
    #[serde(default, deserialize_with = "time")]
    to: Option<Timestamp>,
    /// As in `GET /notifications`.
    #[serde(default, deserialize_with = "trimmed")]
    #[param(value_type = Option<String>)]
    q: String,
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<Sort>, inline)]
    sort: Option<Sort>,
}

impl AllNotificationsQuery {
    /// The request for a page of all notifications.
    pub(crate) fn page(self, paging: Paging) -> v1::ListAllNotificationsRequest {
        let own = NotificationsQuery {
            status: self.status,
            r#type: self.r#type,
            from: self.from,
            to: self.to,
            q: self.q,
            sort: self.sort,
        };
        let (filter, ascending) = own.filter();
        v1::ListAllNotificationsRequest {
            filter: Some(filter),
            recipient: self.recipient,
            ascending,
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}
