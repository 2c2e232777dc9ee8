//! Accepted events in SQLite. The quota is counted by the writer, which does one thing
//! after the other.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slipway_mesh::{
    bus::Event,
    life::{Check, Problem},
    outbox::sqlite::append,
    receipts::{Receipt, sqlite as receipts},
    store::sqlite::{Database, StorageError, from_column, malformed, to_column},
};
use slipway_proto::events::UserRef;
use uuid::Uuid;

use super::{Acceptance, IntakeStore};
use crate::{
    intake::{self, Accepted, QUOTA},
    store::StoreError,
};

/// Its table.
pub(in crate::store) const SCHEMA: &str = "
    CREATE TABLE accepted (
        id          TEXT    PRIMARY KEY, -- UUIDv7
        kind        TEXT    NOT NULL,
        sender_id   TEXT    NOT NULL,
        sender_name TEXT    NOT NULL,
        recipients  TEXT    NOT NULL, -- JSON: [{id, username}, ...]
        at          INTEGER NOT NULL  -- ms since the epoch
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX accepted_by_sender ON accepted (sender_id, at);
    CREATE INDEX accepted_by_time ON accepted (at);
";

/// The SQLite backend.
#[derive(Clone)]
pub(crate) struct SqliteIntakeStore {
    db: Database,
}

impl SqliteIntakeStore {
    /// The accepted events in `db`.
    pub(crate) fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Check for SqliteIntakeStore {
    async fn check(&self) -> Result<(), Problem> {
        self.db.check().await
    }
}

#[async_trait]
impl IntakeStore for SqliteIntakeStore {
    async fn accept(
        &self,
        accepted: &Accepted,
        event: Event,
        receipt: Option<Receipt>,
    ) -> Result<Acceptance, StoreError> {
        let accepted = accepted.clone();
        let accept = self.db.write(move |c| {
            if let Some(wait) = intake::wait(&latest(c, accepted.sender.id)?, accepted.at) {
                return Ok(Acceptance::TooMany(wait));
            }
            if let Some(receipt) = &receipt
                && !receipts::insert(c, receipt)?
            {
                return Ok(Acceptance::Repeated);
            }
            insert(c, &accepted)?;
            append(c, &[event])?;
            Ok::<_, StorageError>(Acceptance::Stored)
        });
        Ok(accept.await?)
    }

    async fn get(&self, id: Uuid) -> Result<Option<Accepted>, StoreError> {
        let get = self.db.read(move |c| {
            let mut query = c.prepare_cached(
                "SELECT id, kind, sender_id, sender_name, recipients, at
                 FROM accepted WHERE id = ?1",
            )?;
            let found = query.query_row([id.to_string()], accepted);
            Ok::<_, StorageError>(found.optional()?)
        });
        Ok(get.await?)
    }

    async fn latest(&self, sender: Uuid) -> Result<Vec<Timestamp>, StoreError> {
        Ok(self.db.read(move |c| latest(c, sender)).await?)
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let prune = self.db.write(move |c| {
            // What is not published yet is in the outbox, which is a table of its own.
            let mut delete = c.prepare_cached(
                "DELETE FROM accepted WHERE id IN (
                     SELECT id FROM accepted WHERE at < ?1 ORDER BY at LIMIT ?2)",
            )?;
            let deleted = delete.execute(params![to_column(before), limit])?;
            Ok::<_, StorageError>(deleted)
        });
        Ok(prune.await?)
    }
}

fn latest(c: &Connection, sender: Uuid) -> Result<Vec<Timestamp>, StorageError> {
    let mut query =
        c.prepare_cached("SELECT at FROM accepted WHERE sender_id = ?1 ORDER BY at DESC LIMIT ?2")?;
    let times = query.query_map(params![sender.to_string(), QUOTA], |row| {
        from_column(row.get(0)?)
    })?;
    Ok(times.collect::<Result<_, _>>()?)
}

fn insert(c: &Connection, accepted: &Accepted) -> Result<(), StorageError> {
    let recipients = serde_json::to_string(&accepted.recipients)
        .map_err(|error| StorageError::Unusable(error.to_string()))?;
    c.prepare_cached(
        "INSERT INTO accepted (id, kind, sender_id, sender_name, recipients, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        accepted.id.to_string(),
        accepted.kind,
        accepted.sender.id.to_string(),
        accepted.sender.username,
        recipients,
        to_column(accepted.at),
    ])?;
    Ok(())
}

fn accepted(row: &Row<'_>) -> Result<Accepted, rusqlite::Error> {
    Ok(Accepted {
        id: row.get::<_, String>(0)?.parse().map_err(malformed)?,
        kind: row.get(1)?,
        sender: UserRef {
            id: row.get::<_, String>(2)?.parse().map_err(malformed)?,
            username: row.get(3)?,
        },
        recipients: serde_json::from_str(&row.get::<_, String>(4)?).map_err(malformed)?,
        at: from_column(row.get(5)?)?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::{outbox::sqlite::SqliteOutbox, receipts::sqlite::SqliteReceipts};

    use super::*;
    use crate::store::intake::contract::{self, Opened};

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let open = {
            let path = dir.path().join("notify.db");
            move || {
                let db = crate::store::open(&path).unwrap();
                Opened {
                    store: Arc::new(SqliteIntakeStore::new(db.clone())),
                    outbox: Arc::new(SqliteOutbox::new(db.clone())),
                    receipts: Arc::new(SqliteReceipts::new(db)),
                }
            }
        };
        (dir, open)
    });
}
