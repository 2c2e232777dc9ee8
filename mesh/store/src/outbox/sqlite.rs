//! The outbox in an SQLite database: a table next to the service's own.

use std::collections::HashSet;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::{Backlog, OutboxPosition, OutboxStore, Pending, first_id};
use crate::StoreError;
use slipway_bus::Record;
use slipway_sqlite::{Database, StorageError, malformed};

/// The SQL of the table.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE outbox (
        position  INTEGER PRIMARY KEY AUTOINCREMENT,
        aggregate TEXT NOT NULL,
        id        TEXT NOT NULL, -- a UUIDv7: when it was appended
        topic     TEXT NOT NULL,
        key       TEXT NOT NULL,
        headers   TEXT NOT NULL, -- JSON: [[name, value], ...]
        value     BLOB NOT NULL
    ) STRICT;
    CREATE INDEX outbox_by_aggregate ON outbox (aggregate, position);
";

/// Appends a record with the id `id`, a UUIDv7, to the events of `aggregate`, within the caller's
/// transaction.
///
/// # Errors
/// If the database refuses the statement.
pub(crate) fn append_to(
    c: &Connection,
    aggregate: &str,
    id: Uuid,
    record: &Record,
) -> Result<(), StorageError> {
    let headers = serde_json::to_string(&record.headers)
        .map_err(|error| StorageError::Unusable(error.to_string()))?;
    c.prepare_cached(
        "INSERT INTO outbox (aggregate, id, topic, key, headers, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        aggregate,
        id.to_string(),
        &record.topic,
        &record.key,
        headers,
        record.value.as_ref(),
    ))?;
    Ok(())
}

/// The outbox of a database with the table of [`SCHEMA`].
#[derive(Clone)]
pub struct SqliteOutbox(Database);

impl SqliteOutbox {
    /// The outbox in `db`.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self(db)
    }
}

fn read(c: &Connection, aggregates: &[Uuid], limit: usize) -> Result<Vec<Pending>, StorageError> {
    let mut query = c.prepare_cached(
        "SELECT position, topic, key, headers, value FROM outbox
         WHERE aggregate = ?1 ORDER BY position LIMIT ?2",
    )?;
    let mut pending = Vec::new();
    for aggregate in aggregates {
        let wanted = limit - pending.len();
        if wanted == 0 {
            break;
        }
        let rows = query.query_map((aggregate.to_string(), wanted), |row| {
            let value: Vec<u8> = row.get(4)?;
            Ok(Pending {
                aggregate: *aggregate,
                place: OutboxPosition(row.get::<_, i64>(0)?.to_string()),
                record: Record {
                    topic: row.get(1)?,
                    key: row.get(2)?,
                    headers: headers(&row.get::<_, String>(3)?)?,
                    value: value.into(),
                },
            })
        })?;
        for row in rows {
            pending.push(row?);
        }
    }
    Ok(pending)
}

fn headers(text: &str) -> Result<Vec<(String, String)>, rusqlite::Error> {
    serde_json::from_str(text).map_err(malformed)
}

/// Reads rows in commit order until one is not from before `before`; their ids contain their time.
fn overdue(
    c: &Connection,
    before: Timestamp,
    except: &[Uuid],
    limit: usize,
) -> Result<Vec<Uuid>, StorageError> {
    let mut query = c.prepare_cached("SELECT aggregate, id FROM outbox ORDER BY position")?;
    let mut rows = query.query([])?;
    let mut seen: HashSet<Uuid> = except.iter().copied().collect();
    let (mut aggregates, first) = (Vec::new(), first_id(before).to_string());
    while aggregates.len() < limit
        && let Some(row) = rows.next()?
        && row.get::<_, String>(1)? < first
    {
        let aggregate = row.get::<_, String>(0)?.parse().map_err(malformed)?;
        if seen.insert(aggregate) {
            aggregates.push(aggregate);
        }
    }
    Ok(aggregates)
}

#[async_trait]
impl OutboxStore for SqliteOutbox {
    async fn pending(&self, aggregates: &[Uuid], limit: usize) -> Result<Vec<Pending>, StoreError> {
        let aggregates = aggregates.to_vec();
        let read = self.0.read(move |c| read(c, &aggregates, limit));
        Ok(read.await?)
    }

    async fn overdue(
        &self,
        before: Timestamp,
        except: &[Uuid],
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        let except = except.to_vec();
        let overdue = self.0.read(move |c| overdue(c, before, &except, limit));
        Ok(overdue.await?)
    }

    async fn remove(&self, published: &[Pending]) -> Result<(), StoreError> {
        let places: Vec<_> = published.iter().map(|entry| entry.place.clone()).collect();
        let remove = self.0.write(move |c| {
            let mut delete = c.prepare_cached("DELETE FROM outbox WHERE position = ?1")?;
            for OutboxPosition(position) in places {
                delete.execute([position])?;
            }
            Ok::<_, StorageError>(())
        });
        Ok(remove.await?)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let backlog = self.0.read(|c| {
            c.query_row("SELECT count(*), min(id) FROM outbox", [], |row| {
                let oldest: Option<String> = row.get(1)?;
                Ok(Backlog::new(row.get(0)?, oldest.as_deref()))
            })
            .map_err(StorageError::from)
        });
        Ok(backlog.await?)
    }
}
