//! Between rows and notifications.

use rusqlite::{Connection, Row, params};
use slipway_sqlite::{StorageError, from_column, malformed, to_column};

use crate::notification::{Attempt, Channel, Notification, NotificationId, State, Subject, To};

/// The columns that [`notification`] reads, in its order.
pub(super) const COLUMNS: &str = "id, event_id, kind, channel, recipient, subject, data, state, \
     reason, due_at, attempts, created_at, updated_at, gathered_by, digest_id";

/// Stores new notifications; returns how many were not there.
pub(super) fn insert(
    c: &Connection,
    notifications: &[Notification],
) -> Result<usize, StorageError> {
    let mut insert = c.prepare_cached(&format!(
        "INSERT INTO notifications ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (event_id, recipient, channel) DO NOTHING"
    ))?;
    let mut inserted = 0;
    for notification in notifications {
        inserted += insert.execute(params![
            notification.id.to_string(),
            notification.event_id.to_string(),
            notification.kind,
            notification.channel.as_str(),
            notification.to.to_string(),
            notification.subject.as_str(),
            notification.data.to_string(),
            notification.state.as_str(),
            notification.reason,
            to_column(notification.due_at),
            attempts_json(&notification.attempts)?,
            to_column(notification.created_at),
            to_column(notification.updated_at),
            notification.group,
            notification.digest_id.map(|id| id.to_string()),
        ])?;
    }
    Ok(inserted)
}

pub(super) fn attempts_json(attempts: &[Attempt]) -> Result<String, StorageError> {
    serde_json::to_string(attempts).map_err(|error| StorageError::Unusable(error.to_string()))
}

pub(super) fn notification(row: &Row<'_>) -> Result<Notification, rusqlite::Error> {
    Ok(Notification {
        id: row.get::<_, String>(0)?.parse().map_err(malformed)?,
        event_id: row.get::<_, String>(1)?.parse().map_err(malformed)?,
        kind: row.get(2)?,
        channel: channel(row.get(3)?)?,
        to: recipient(row)?,
        subject: Subject::new(&row.get::<_, String>(5)?),
        data: serde_json::from_str(&row.get::<_, String>(6)?).map_err(malformed)?,
        state: state(row)?,
        reason: row.get(8)?,
        due_at: from_column(row.get(9)?)?,
        attempts: serde_json::from_str(&row.get::<_, String>(10)?).map_err(malformed)?,
        created_at: from_column(row.get(11)?)?,
        updated_at: from_column(row.get(12)?)?,
        group: row.get(13)?,
        digest_id: digest_id(row.get(14)?)?,
    })
}

pub(super) fn recipient(row: &Row<'_>) -> Result<To, rusqlite::Error> {
    let text: String = row.get(4)?;
    To::parse(&text).ok_or_else(|| unknown("recipient", &text))
}

pub(super) fn state(row: &Row<'_>) -> Result<State, rusqlite::Error> {
    let text: String = row.get(7)?;
    State::parse(&text).ok_or_else(|| unknown("state", &text))
}

fn digest_id(text: Option<String>) -> Result<Option<NotificationId>, rusqlite::Error> {
    text.map(|text| text.parse().map_err(malformed)).transpose()
}

fn channel(text: String) -> Result<Channel, rusqlite::Error> {
    serde_json::from_value(text.into()).map_err(malformed)
}

fn unknown(what: &str, text: &str) -> rusqlite::Error {
    malformed(StorageError::Unusable(format!("{text} is no {what}")))
}
