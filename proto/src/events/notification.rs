//! Events about the results of notifications. They identify the recipient by id; addresses and
//! texts stay with the notification.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::UserRef;

/// `notification.requested`: another program has announced an event about which users are to be
/// notified. Its data is only for them: the activity feed does not show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationRequestedEvent {
    /// The type that the program gave it; it selects the templates.
    pub notification_type: String,
    /// The users to notify, each once.
    pub recipients: Vec<UserRef>,
    /// The user who announced it.
    pub requested_by: UserRef,
    /// The variables of the templates.
    pub data: Map<String, Value>,
}

/// `notification.sent`: the mail server accepted the email.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationSentEvent {
    /// Id of the notification.
    pub notification_id: Uuid,
    /// The event that the notification is about.
    pub event_id: Uuid,
    /// The type of the notification.
    pub notification_type: String,
    /// The channel, for example `EMAIL`.
    pub channel: String,
    /// The account of the recipient; absent if it was sent to an address without an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<Uuid>,
    /// The number of attempts.
    pub attempts: u32,
    /// When the mail server accepted it.
    pub sent_at: Timestamp,
}

/// `notification.failed`: the notification will not be tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationFailedEvent {
    /// Id of the notification.
    pub notification_id: Uuid,
    /// The event that the notification is about.
    pub event_id: Uuid,
    /// The type of the notification.
    pub notification_type: String,
    /// The channel, for example `EMAIL`.
    pub channel: String,
    /// The account of the recipient; absent if it was for an address without an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_id: Option<Uuid>,
    /// The number of attempts.
    pub attempts: u32,
    /// When it failed for good.
    pub failed_at: Timestamp,
}
