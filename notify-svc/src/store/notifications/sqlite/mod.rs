//! Notifications in SQLite.
//!
//! Every change is one job of the writer, so no claim can see another half made; and the
//! jobs of all that are being sent share a commit.

mod list;
mod rows;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use slipway_mesh::{
    bus::Event,
    life::Check,
    outbox::sqlite::append,
    store::sqlite::{Database, StorageError, from_column, to_column},
};
use uuid::Uuid;

use self::rows::{COLUMNS, attempts_json, notification};
use super::{Backlog, Claim, NotificationStore, Page, Query};
use crate::{
    notification::{Attempt, Notification, NotificationId},
    store::StoreError,
};

/// Its table.
pub(in crate::store) const SCHEMA: &str = "
    CREATE TABLE notifications (
        id            TEXT    PRIMARY KEY,
        event_id      TEXT    NOT NULL,
        kind          TEXT    NOT NULL,
        channel       TEXT    NOT NULL,
        recipient     TEXT    NOT NULL, -- a user's id, or an address
        subject       TEXT    NOT NULL,
        data          TEXT    NOT NULL, -- JSON: the template's variables
        state         TEXT    NOT NULL,
        reason        TEXT,
        due_at        INTEGER NOT NULL, -- ms since the epoch
        attempts      TEXT    NOT NULL, -- JSON: [{at, durationMs, outcome, answer}, ...]
        created_at    INTEGER NOT NULL,
        updated_at    INTEGER NOT NULL,
        claim         TEXT,
        claimed_until INTEGER
    ) STRICT;

    -- One event tells each recipient once by each way.
    CREATE UNIQUE INDEX notifications_once ON notifications (event_id, recipient, channel);
    CREATE INDEX notifications_due ON notifications (due_at) WHERE state = 'QUEUED';
    CREATE INDEX notifications_claimed ON notifications (claimed_until) WHERE state = 'SENDING';
    CREATE INDEX notifications_by_recipient ON notifications (recipient, id);
    CREATE INDEX notifications_by_kind ON notifications (kind, id);
    CREATE INDEX notifications_by_state ON notifications (state, id);
";

/// The SQLite backend.
#[derive(Clone)]
pub(crate) struct SqliteNotificationStore {
    db: Database,
}

impl SqliteNotificationStore {
    /// The notifications in `db`.
    pub(crate) fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Check for SqliteNotificationStore {
    async fn check(&self) -> Result<(), String> {
        self.db.check().await
    }
}

#[async_trait]
impl NotificationStore for SqliteNotificationStore {
    async fn enqueue(&self, notifications: Vec<Notification>) -> Result<usize, StoreError> {
        let enqueue = self.db.write(move |c| rows::insert(c, &notifications));
        Ok(enqueue.await?)
    }

    async fn claim(&self, claim: &Claim, limit: usize) -> Result<Vec<Notification>, StoreError> {
        let claim = *claim;
        // The writer is not troubled when nothing is due, which is most of the time.
        if !self.db.read(move |c| is_due(c, claim.now)).await? {
            return Ok(Vec::new());
        }
        Ok(self.db.write(move |c| claim_due(c, &claim, limit)).await?)
    }

    async fn settle(
        &self,
        claim: Uuid,
        notification: &Notification,
        events: Vec<Event>,
    ) -> Result<bool, StoreError> {
        let notification = notification.clone();
        let settle = self.db.write(move |c| {
            let settled = settle(c, Guard::Claim(claim), &notification)?;
            if settled {
                append(c, &events)?;
            }
            Ok::<_, StorageError>(settled)
        });
        Ok(settle.await?)
    }

    async fn take_back(
        &self,
        ended_by: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        if !self.db.read(move |c| is_abandoned(c, ended_by)).await? {
            return Ok(0);
        }
        Ok(self
            .db
            .write(move |c| take_back(c, ended_by, now, limit))
            .await?)
    }

    async fn get(&self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        let get = self.db.read(move |c| {
            let found = c
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM notifications WHERE id = ?1"
                ))?
                .query_row([id.to_string()], notification)
                .optional()?;
            Ok::<_, StorageError>(found)
        });
        Ok(get.await?)
    }

    async fn by_ids(&self, ids: &[NotificationId]) -> Result<Vec<Notification>, StoreError> {
        let ids = ids.to_vec();
        let by_ids = self.db.read(move |c| {
            let mut query = c.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM notifications WHERE id = ?1"
            ))?;
            let mut found = Vec::new();
            for id in ids {
                found.extend(query.query_row([id.to_string()], notification).optional()?);
            }
            Ok::<_, StorageError>(found)
        });
        Ok(by_ids.await?)
    }

    async fn confirm(
        &self,
        notification: &Notification,
        events: Vec<Event>,
    ) -> Result<bool, StoreError> {
        let notification = notification.clone();
        let confirm = self.db.write(move |c| {
            let confirmed = settle(c, Guard::Sent, &notification)?;
            if confirmed {
                append(c, &events)?;
            }
            Ok::<_, StorageError>(confirmed)
        });
        Ok(confirm.await?)
    }

    async fn of_event(&self, event_id: Uuid) -> Result<Vec<Notification>, StoreError> {
        let of_event = self.db.read(move |c| {
            let mut query = c.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM notifications WHERE event_id = ?1"
            ))?;
            let found = query.query_map([event_id.to_string()], notification)?;
            Ok::<_, StorageError>(found.collect::<Result<_, _>>()?)
        });
        Ok(of_event.await?)
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        let query = query.clone();
        Ok(self.db.read(move |c| list::page(c, &query)).await?)
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        Ok(self.db.read(move |c| backlog(c, now)).await?)
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        Ok(self.db.write(move |c| prune(c, before, limit)).await?)
    }
}

fn is_due(c: &Connection, now: Timestamp) -> Result<bool, StorageError> {
    let due = c
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM notifications
             WHERE state = 'QUEUED' AND due_at <= ?1)",
        )?
        .query_row([to_column(now)], |row| row.get(0))?;
    Ok(due)
}

fn claim_due(
    c: &Connection,
    claim: &Claim,
    limit: usize,
) -> Result<Vec<Notification>, StorageError> {
    let mut update = c.prepare_cached(&format!(
        "UPDATE notifications
         SET state = 'SENDING', claim = ?1, claimed_until = ?2, updated_at = ?3
         WHERE id IN (SELECT id FROM notifications WHERE state = 'QUEUED' AND due_at <= ?3
                      ORDER BY due_at LIMIT ?4)
         RETURNING {COLUMNS}"
    ))?;
    let (now, until) = (to_column(claim.now), to_column(claim.until));
    let rows = update.query_map(
        params![claim.id.to_string(), until, now, limit],
        notification,
    )?;
    let mut claimed: Vec<_> = rows.collect::<Result<_, _>>()?;
    claimed.sort_by_key(|notification| (notification.due_at, notification.id));
    Ok(claimed)
}

/// What must hold of a notification for its change to be stored.
#[derive(Clone, Copy)]
enum Guard {
    /// It is claimed by this claim.
    Claim(Uuid),
    /// It is SENT.
    Sent,
}

fn settle(c: &Connection, guard: Guard, notification: &Notification) -> Result<bool, StorageError> {
    let (state, claim) = match guard {
        Guard::Claim(claim) => ("SENDING", Some(claim.to_string())),
        Guard::Sent => ("SENT", None),
    };
    let changed = c
        .prepare_cached(
            "UPDATE notifications
             SET state = ?4, reason = ?5, due_at = ?6, attempts = ?7, updated_at = ?8,
                 claim = NULL, claimed_until = NULL
             WHERE id = ?1 AND state = ?2 AND claim IS ?3",
        )?
        .execute(params![
            notification.id.to_string(),
            state,
            claim,
            notification.state.as_str(),
            notification.reason,
            to_column(notification.due_at),
            attempts_json(&notification.attempts)?,
            to_column(notification.updated_at),
        ])?;
    Ok(changed == 1)
}

fn is_abandoned(c: &Connection, ended_by: Timestamp) -> Result<bool, StorageError> {
    let abandoned = c
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM notifications
             WHERE state = 'SENDING' AND claimed_until <= ?1)",
        )?
        .query_row([to_column(ended_by)], |row| row.get(0))?;
    Ok(abandoned)
}

fn take_back(
    c: &Connection,
    ended_by: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<usize, StorageError> {
    let interrupted = attempts_json(&[Attempt::interrupted(now)])?;
    let taken = c
        .prepare_cached(
            "UPDATE notifications
             SET state = 'QUEUED', due_at = ?1, updated_at = ?1, claim = NULL,
                 claimed_until = NULL, attempts = json_insert(attempts, '$[#]',
                 json_extract(?2, '$[0]'))
             WHERE id IN (SELECT id FROM notifications
                          WHERE state = 'SENDING' AND claimed_until <= ?3
                          ORDER BY claimed_until LIMIT ?4)",
        )?
        .execute(params![
            to_column(now),
            interrupted,
            to_column(ended_by),
            limit
        ])?;
    Ok(taken)
}

fn backlog(c: &Connection, now: Timestamp) -> Result<Backlog, StorageError> {
    let backlog = c
        .prepare_cached(
            "SELECT (SELECT count(*) FROM notifications WHERE state = 'QUEUED')
                  + (SELECT count(*) FROM notifications WHERE state = 'SENDING'),
                 (SELECT min(due_at) FROM notifications
                  WHERE state = 'QUEUED' AND due_at <= ?1)",
        )?
        .query_row([to_column(now)], |row| {
            let oldest_due: Option<i64> = row.get(1)?;
            Ok(Backlog {
                waiting: row.get(0)?,
                oldest_due: oldest_due.map(from_column).transpose()?,
            })
        })?;
    Ok(backlog)
}

fn prune(c: &Connection, before: Timestamp, limit: usize) -> Result<usize, StorageError> {
    let deleted = c
        .prepare_cached(
            "DELETE FROM notifications WHERE id IN (
                 SELECT id FROM notifications
                 WHERE id < ?1 AND state NOT IN ('QUEUED', 'SENDING')
                 ORDER BY id LIMIT ?2)",
        )?
        .execute(params![NotificationId::first_at(before).to_string(), limit])?;
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::notifications::contract::{self, Opened};

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let open = {
            let path = dir.path().join("notify.db");
            move || {
                let db = crate::store::open(&path).unwrap();
                Opened {
                    store: Arc::new(SqliteNotificationStore::new(db.clone())),
                    outbox: Arc::new(slipway_mesh::outbox::sqlite::SqliteOutbox::new(db)),
                }
            }
        };
        (dir, open)
    });
}
