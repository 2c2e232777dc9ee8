//! Notifications in SQLite.
//!
//! Every change is one job of the writer, so no claim can see another half made; and the
//! jobs of all that are being sent share a commit.

mod list;
mod rows;

use std::collections::HashSet;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slipway_bus::Event;
use slipway_runtime::life::{Check, Problem};
use slipway_sqlite::{Database, StorageError, from_column, malformed, to_column};
use slipway_store::outbox::sqlite::append;
use uuid::Uuid;

use self::rows::{COLUMNS, attempts_json, notification};
use super::{Backlog, Claim, NotificationStore, Page, Query};
use crate::{
    notification::{
        Attempt, Notification, NotificationId,
        digest::{self, LARGEST},
    },
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

/// What was added for those that go together in one mail.
pub(in crate::store) const GATHERED: &str = "
    ALTER TABLE notifications ADD COLUMN gathered_by TEXT; -- the group that goes in one mail
    ALTER TABLE notifications ADD COLUMN digest_id TEXT;   -- that mail

    CREATE INDEX notifications_gathered ON notifications (recipient, gathered_by, id)
        WHERE state = 'QUEUED' AND gathered_by IS NOT NULL;
    CREATE INDEX notifications_by_digest ON notifications (digest_id)
        WHERE digest_id IS NOT NULL;
";

// The index is named: without knowing how many are queued, SQLite would take the one on the
// state and sort all of them.
const DUE: &str = "SELECT id, recipient, gathered_by
    FROM notifications INDEXED BY notifications_due
    WHERE state = 'QUEUED' AND due_at <= ?1 ORDER BY due_at LIMIT ?2";
const OF_GROUP: &str = "SELECT id FROM notifications
    WHERE recipient = ?1 AND gathered_by = ?2 AND state = 'QUEUED' ORDER BY id LIMIT ?3";
const BY_DIGEST: &str = "WHERE digest_id = ?1";

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
    async fn check(&self) -> Result<(), Problem> {
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
        settled: Vec<(Notification, Vec<Event>)>,
    ) -> Result<usize, StoreError> {
        let settle = self.db.write(move |c| {
            let mut stored = 0;
            for (notification, events) in &settled {
                if change(c, Guard::Claim(claim), notification)? {
                    append(c, events)?;
                    stored += 1;
                }
            }
            Ok::<_, StorageError>(stored)
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

    async fn mailed_as(&self, ids: &[NotificationId]) -> Result<Vec<Notification>, StoreError> {
        let ids = ids.to_vec();
        let mailed_as = self.db.read(move |c| {
            let query =
                |condition: &str| format!("SELECT {COLUMNS} FROM notifications {condition}");
            let mut alone = c.prepare_cached(&query("WHERE id = ?1"))?;
            let mut together = c.prepare_cached(&query(BY_DIGEST))?;
            let mut found = Vec::new();
            for id in ids {
                let id = id.to_string();
                found.extend(alone.query_row([&id], notification).optional()?);
                for member in together.query_map([&id], notification)? {
                    found.push(member?);
                }
            }
            Ok::<_, StorageError>(found)
        });
        Ok(mailed_as.await?)
    }

    async fn confirm(
        &self,
        notification: &Notification,
        events: Vec<Event>,
    ) -> Result<bool, StoreError> {
        let notification = notification.clone();
        let confirm = self.db.write(move |c| {
            let confirmed = change(c, Guard::Sent, &notification)?;
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
            "SELECT EXISTS (SELECT 1 FROM notifications INDEXED BY notifications_due
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
    let (mut claimed, mut mails) = (Vec::new(), 0);
    loop {
        let due = due(c, claim.now, limit - mails)?;
        let found = due.len();
        let mut groups = HashSet::new();
        for (id, recipient, group) in due {
            let ids = match group {
                None => vec![id],
                Some(group) if groups.insert((recipient.clone(), group.clone())) => {
                    of_group(c, &recipient, &group)?
                }
                Some(_) => continue,
            };
            claimed.extend(take(c, claim, &ids)?);
            mails += 1;
            if claimed.len() >= LARGEST {
                break;
            }
        }
        // Of a group, one is enough to claim all: then there is room for others.
        if found == 0 || mails == limit || claimed.len() >= LARGEST {
            break;
        }
    }
    claimed.sort_by_key(|notification| (notification.due_at, notification.id));
    Ok(claimed)
}

/// What is due, the longest due first: id, recipient and group.
type Due = (NotificationId, String, Option<String>);

fn due(c: &Connection, now: Timestamp, limit: usize) -> Result<Vec<Due>, StorageError> {
    let mut query = c.prepare_cached(DUE)?;
    let rows = query.query_map(params![to_column(now), limit], |row| {
        Ok((id(row)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn of_group(
    c: &Connection,
    recipient: &str,
    group: &str,
) -> Result<Vec<NotificationId>, StorageError> {
    let mut query = c.prepare_cached(OF_GROUP)?;
    let rows = query.query_map(params![recipient, group, LARGEST], id)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn id(row: &Row<'_>) -> Result<NotificationId, rusqlite::Error> {
    row.get::<_, String>(0)?.parse().map_err(malformed)
}

/// Claims these, which go in one mail.
fn take(
    c: &Connection,
    claim: &Claim,
    ids: &[NotificationId],
) -> Result<Vec<Notification>, StorageError> {
    let mut update = c.prepare_cached(&format!(
        "UPDATE notifications
         SET state = 'SENDING', claim = ?2, claimed_until = ?3, updated_at = ?4, digest_id = ?5
         WHERE id = ?1 RETURNING {COLUMNS}"
    ))?;
    let digest = (ids.len() > 1).then(|| digest::id(ids.iter().copied()).to_string());
    let (now, until) = (to_column(claim.now), to_column(claim.until));
    let take = ids.iter().map(|id| {
        let params = params![id.to_string(), claim.id.to_string(), until, now, digest];
        update.query_row(params, notification)
    });
    Ok(take.collect::<Result<_, _>>()?)
}

/// What must hold of a notification for its change to be stored.
#[derive(Clone, Copy)]
enum Guard {
    /// It is claimed by this claim.
    Claim(Uuid),
    /// It is SENT.
    Sent,
}

fn change(c: &Connection, guard: Guard, notification: &Notification) -> Result<bool, StorageError> {
    let (state, claim) = match guard {
        Guard::Claim(claim) => ("SENDING", Some(claim.to_string())),
        Guard::Sent => ("SENT", None),
    };
    let changed = c
        .prepare_cached(
            "UPDATE notifications
             SET state = ?4, reason = ?5, due_at = ?6, attempts = ?7, updated_at = ?8,
                 digest_id = ?9, claim = NULL, claimed_until = NULL
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
            notification.digest_id.map(|id| id.to_string()),
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
                 (SELECT min(due_at) FROM notifications INDEXED BY notifications_due
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

    use slipway_sqlite::testing::search;

    use super::*;
    use crate::store::{
        MIGRATIONS,
        notifications::contract::{self, Opened},
    };

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let open = {
            let path = dir.path().join("notify.db");
            move || {
                let db = crate::store::open(&path).unwrap();
                Opened {
                    store: Arc::new(SqliteNotificationStore::new(db.clone())),
                    outbox: Arc::new(slipway_store::outbox::sqlite::SqliteOutbox::new(db)),
                }
            }
        };
        (dir, open)
    });

    #[test]
    fn a_claim_searches_an_index_and_sorts_nothing() {
        let by_digest = format!("SELECT id FROM notifications {BY_DIGEST}");
        for sql in [DUE, OF_GROUP, &by_digest] {
            search(MIGRATIONS, sql);
        }
    }
}
