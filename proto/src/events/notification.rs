//! Events about notifications: what became of them. They tell who was notified by id;
//! addresses and texts stay with the notification.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::UserRef;

/// `notification.requested`: another program has announced an event of which people are to
/// be notified. Its data are between it and them: it is on no wall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationRequestedEvent {
    /// The type that the program gave it; it chooses the templates.
    pub notification_type: String,
    /// Who is to be notified, each once.
    pub recipients: Vec<UserRef>,
    /// Who announced it.
    pub requested_by: UserRef,
    /// The variables of the templates.
    pub data: Map<String, Value>,
}

/// `notification.sent`: the mail server took the mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationSentEvent {
    /// Id of the notification.
    pub notification_id: Uuid,
    /// The event it tells of.
    pub event_id: Uuid,
    /// That event's type.
    pub notification_type: String,
    /// By what way, as `EMAIL`.
    pub channel: String,
    /// The account it went to; absent where it went to a bare address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<Uuid>,
    /// How many attempts it took.
    pub attempts: u32,
    /// When the mail server took it.
    pub sent_at: Timestamp,
}

/// `notification.failed`: it will not be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationFailedEvent {
    /// Id of the notification.
    pub notification_id: Uuid,
    /// The event it tells of.
    pub event_id: Uuid,
    /// That event's type.
    pub notification_type: String,
    /// By what way, as `EMAIL`.
    pub channel: String,
    /// The account it was for; absent where it was for a bare address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<Uuid>,
    /// How many attempts were made.
    pub attempts: u32,
    /// When it was given up.
    pub failed_at: Timestamp,
}
