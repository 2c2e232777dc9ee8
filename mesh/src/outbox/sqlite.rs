//! The outbox in an SQLite database: a table beside the service's own.

use async_trait::async_trait;
use rusqlite::Connection;

use super::{OutboxStore, Pending, Place};
use crate::{
    bus::{Event, Record},
    store::sqlite::{Database, StorageError, malformed},
};

/// The table, to stand in a service's migrations.
pub const SCHEMA: &str = "
    CREATE TABLE outbox (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        topic    TEXT NOT NULL,
        key      TEXT NOT NULL,
        headers  TEXT NOT NULL, -- JSON: [[name, value], ...]
        value    BLOB NOT NULL
    ) STRICT;
";

/// Appends events to the outbox, within the caller's transaction.
///
/// # Errors
/// If the database refuses.
pub fn append(c: &Connection, events: &[Event]) -> Result<(), StorageError> {
    for event in events {
        append_record(c, &event.to_record())?;
    }
    Ok(())
}

/// Appends a record that is no new event, such as a dead letter on its way back, within
/// the caller's transaction.
///
/// # Errors
/// If the database refuses.
pub fn append_record(c: &Connection, record: &Record) -> Result<(), StorageError> {
    let headers = serde_json::to_string(&record.headers)
        .map_err(|error| StorageError::Unusable(error.to_string()))?;
    c.prepare_cached("INSERT INTO outbox (topic, key, headers, value) VALUES (?1, ?2, ?3, ?4)")?
        .execute((&record.topic, &record.key, headers, record.value.as_ref()))?;
    Ok(())
}

/// The outbox of a database whose migrations hold [`SCHEMA`].
#[derive(Clone)]
pub struct SqliteOutbox(Database);

impl SqliteOutbox {
    /// The outbox in `db`.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self(db)
    }
}

fn read(c: &Connection, limit: usize) -> Result<Vec<Pending>, StorageError> {
    let mut query = c.prepare_cached(
        "SELECT position, topic, key, headers, value FROM outbox ORDER BY position LIMIT ?1",
    )?;
    let rows = query.query_map([limit], |row| {
        let headers: String = row.get(3)?;
        let value: Vec<u8> = row.get(4)?;
        Ok(Pending {
            place: Place(row.get::<_, i64>(0)?.to_string()),
            record: Record {
                topic: row.get(1)?,
                key: row.get(2)?,
                headers: serde_json::from_str(&headers).map_err(malformed)?,
                value: value.into(),
            },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[async_trait]
impl OutboxStore for SqliteOutbox {
    async fn pending(&self, limit: usize) -> Result<Vec<Pending>, String> {
        let read = self.0.read(move |c| read(c, limit));
        read.await.map_err(|error| error.to_string())
    }

    async fn remove(&self, published: &[Pending]) -> Result<(), String> {
        let places: Vec<_> = published.iter().map(|entry| entry.place.clone()).collect();
        let remove = self.0.write(move |c| {
            let mut delete = c.prepare_cached("DELETE FROM outbox WHERE position = ?1")?;
            for Place(position) in places {
                delete.execute([position])?;
            }
            Ok::<_, StorageError>(())
        });
        remove.await.map_err(|error| error.to_string())
    }

    async fn count(&self) -> Result<u64, String> {
        let count = self.0.read(|c| {
            c.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))
                .map_err(StorageError::from)
        });
        count.await.map_err(|error| error.to_string())
    }
}
