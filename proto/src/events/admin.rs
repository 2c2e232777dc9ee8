//! Acts of administrators that change Slipway itself. They are for the audit trail: the activity
//! feed does not show them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::FieldChange;

/// `template.updated`: an administrator saved the templates of a type of notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateUpdatedEvent {
    /// The type of the notifications.
    pub notification_type: String,
    /// The number of the new version.
    pub version: u64,
    /// The changed ones of `subject`, `text`, `html` and `sample`.
    pub changes: Vec<FieldChange>,
}

/// `template.deleted`: an administrator went back to the templates that Slipway brings along, or
/// deleted a type that it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateDeletedEvent {
    /// The type of the notifications.
    pub notification_type: String,
    /// The number of the new version, which is empty.
    pub version: u64,
    /// The changed ones of `subject`, `text`, `html` and `sample`.
    pub changes: Vec<FieldChange>,
}

/// `dead_letter.replayed`: an administrator sent an event that a consumer group could not handle
/// back to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterReplayedEvent {
    /// Id of the dead letter.
    pub dead_letter_id: Uuid,
    /// The consumer group.
    pub group: String,
    /// The topic on which the event was published.
    pub topic: String,
    /// The event's id as published; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The event's type as published; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// `state`, and `payload` if it was edited.
    pub changes: Vec<FieldChange>,
}
