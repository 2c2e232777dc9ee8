//! Custom events, which other programs announce to notify users.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use slipway_proto::notify::v1;
use slipway_runtime::json::refused;
use utoipa::ToSchema;

use super::{
    Id, Malformed, UserRef,
    proto::{self, required},
};

/// An event of which users are notified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvent {
    /// The users to notify, by name or id, 1 to 50. Left out: the caller.
    #[serde(default, deserialize_with = "recipients")]
    #[schema(min_items = 1, max_items = 50)]
    recipients: Vec<String>,
    /// The variables of the type's templates, at most 16 KiB.
    #[serde(default)]
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

/// Refuses an empty list: only a missing list means the caller.
fn recipients<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::deserialize(deserializer)?;
    match names.is_empty() {
        true => Err(refused("must be 1 to 50 names or ids")),
        false => Ok(names),
    }
}

impl NewEvent {
    /// The request for the service.
    pub(crate) fn announcement(self, kind: String) -> v1::AnnounceEventRequest {
        v1::AnnounceEventRequest {
            r#type: kind,
            recipients: self.recipients,
            data_json: Value::Object(self.data).to_string(),
        }
    }
}

/// An accepted event: its notifications will be created.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AcceptedEvent {
    pub(crate) id: Id,
    /// The address of its status, for a day.
    pub(crate) status_url: String,
    accepted_at: Timestamp,
}

impl TryFrom<v1::AnnounceEventResponse> for AcceptedEvent {
    type Error = Malformed;

    fn try_from(answer: v1::AnnounceEventResponse) -> Result<Self, Malformed> {
        let id = proto::id("event id", &answer.id)?;
        Ok(Self {
            id,
            status_url: format!("/events/accepted/{id}"),
            accepted_at: proto::time("accepted_at", answer.accepted_at)?,
        })
    }
}

/// The status of an event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventStatus {
    id: Id,
    r#type: String,
    sender: UserRef,
    accepted_at: Timestamp,
    /// One for each recipient.
    notifications: Vec<EventNotification>,
}

/// The notification of one recipient.
#[derive(Debug, Serialize, ToSchema)]
struct EventNotification {
    recipient: UserRef,
    /// `null` until it is created.
    #[schema(required)]
    id: Option<Id>,
    /// As in `GET /notifications`; `null` until it is created.
    #[schema(required)]
    status: Option<String>,
}

impl TryFrom<v1::GetEventResponse> for EventStatus {
    type Error = Malformed;

    fn try_from(event: v1::GetEventResponse) -> Result<Self, Malformed> {
        let notifications = event.recipients.into_iter();
        Ok(Self {
            id: proto::id("event id", &event.id)?,
            r#type: event.r#type,
            sender: required("sender", event.sender)?.try_into()?,
            accepted_at: proto::time("accepted_at", event.accepted_at)?,
            notifications: notifications
                .map(EventNotification::try_from)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<v1::EventRecipient> for EventNotification {
    type Error = Malformed;

    fn try_from(made: v1::EventRecipient) -> Result<Self, Malformed> {
        Ok(Self {
            recipient: required("recipient", made.recipient)?.try_into()?,
            id: match made.notification_id.as_str() {
                "" => None,
                text => Some(proto::id("notification id", text)?),
            },
            status: Some(made.state).filter(|state| !state.is_empty()),
        })
    }
}
