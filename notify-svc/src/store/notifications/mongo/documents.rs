//! Between documents and notifications.

use mongodb::bson::{DateTime, Document, doc};
use serde::{Deserialize, Serialize};
use slipway_mongo::{StorageError, from_bson, malformed, to_bson};

use crate::notification::{
    Attempt, Channel, Notification, Outcome, State, Subject, To, filter::key,
};

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// A notification; while it is being sent it also has `claim` and `claimedUntil`, one of its
/// group also `leads`, and until its events are published an `outbox`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationDocument {
    #[serde(rename = "_id")]
    pub(super) id: String,
    schema: i32,
    event_id: String,
    kind: String,
    channel: Channel,
    recipient: String,
    subject: String,
    /// What is searched: the subject in lower case.
    subject_key: String,
    /// JSON, kept to the byte.
    data: String,
    state: State,
    reason: Option<String>,
    pub(super) due_at: DateTime,
    attempts: Vec<AttemptDocument>,
    created_at: DateTime,
    updated_at: DateTime,
    /// The group that goes in one mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gathered_by: Option<String>,
    /// That mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest_id: Option<String>,
}

/// An attempt to send it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttemptDocument {
    at: DateTime,
    duration_ms: i64,
    outcome: Outcome,
    answer: String,
}

impl NotificationDocument {
    /// The condition that finds it by what it cannot share with another.
    pub(super) fn once(&self) -> Document {
        doc! {
            "eventId": &self.event_id,
            "recipient": &self.recipient,
            "channel": self.channel.as_str(),
        }
    }
}

impl TryFrom<&Notification> for NotificationDocument {
    type Error = StorageError;

    fn try_from(notification: &Notification) -> Result<Self, StorageError> {
        Ok(Self {
            id: notification.id.to_string(),
            schema: SCHEMA,
            event_id: notification.event_id.to_string(),
            kind: notification.kind.clone(),
            channel: notification.channel,
            recipient: notification.to.to_string(),
            subject: notification.subject.as_str().to_owned(),
            subject_key: key(notification.subject.as_str()),
            data: serde_json::to_string(&notification.data).map_err(malformed)?,
            state: notification.state,
            reason: notification.reason.clone(),
            due_at: to_bson(notification.due_at),
            attempts: notification.attempts.iter().map(Into::into).collect(),
            created_at: to_bson(notification.created_at),
            updated_at: to_bson(notification.updated_at),
            gathered_by: notification.group.clone(),
            digest_id: notification.digest_id.map(|id| id.to_string()),
        })
    }
}

impl TryFrom<NotificationDocument> for Notification {
    type Error = StorageError;

    fn try_from(document: NotificationDocument) -> Result<Self, StorageError> {
        let recipient = To::parse(&document.recipient);
        Ok(Self {
            id: document.id.parse().map_err(malformed)?,
            event_id: document.event_id.parse().map_err(malformed)?,
            kind: document.kind,
            channel: document.channel,
            to: recipient.ok_or_else(|| malformed("it has no recipient"))?,
            subject: Subject::new(&document.subject),
            data: serde_json::from_str(&document.data).map_err(malformed)?,
            state: document.state,
            reason: document.reason,
            due_at: from_bson(document.due_at)?,
            attempts: document
                .attempts
                .into_iter()
                .map(Attempt::try_from)
                .collect::<Result<_, _>>()?,
            created_at: from_bson(document.created_at)?,
            updated_at: from_bson(document.updated_at)?,
            group: document.gathered_by,
            digest_id: document
                .digest_id
                .map(|id| id.parse().map_err(malformed))
                .transpose()?,
        })
    }
}

impl From<&Attempt> for AttemptDocument {
    fn from(attempt: &Attempt) -> Self {
        Self {
            at: to_bson(attempt.at),
            duration_ms: i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX),
            outcome: attempt.outcome,
            answer: attempt.answer.clone(),
        }
    }
}

impl TryFrom<AttemptDocument> for Attempt {
    type Error = StorageError;

    fn try_from(document: AttemptDocument) -> Result<Self, StorageError> {
        Ok(Self {
            at: from_bson(document.at)?,
            duration_ms: document.duration_ms.try_into().map_err(malformed)?,
            outcome: document.outcome,
            answer: document.answer,
        })
    }
}
