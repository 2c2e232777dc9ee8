//! The activity log in SQLite.

mod list;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use slipway_runtime::life::{Check, Problem};
use slipway_sqlite::{Database, StorageError, malformed, to_column};
use uuid::Uuid;

use super::{ActivityStore, Appended, Page, Query};
use crate::{activity::Activity, store::StoreError};

/// Its tables.
pub(in crate::store) const SCHEMA: &str = "
    CREATE TABLE activity (
        sequence   INTEGER PRIMARY KEY,
        event_id   TEXT    NOT NULL UNIQUE,
        type       TEXT    NOT NULL,
        family     TEXT    NOT NULL
                   GENERATED ALWAYS AS (substr(type, 1, instr(type, '.') - 1)) VIRTUAL,
        time       INTEGER NOT NULL, -- ms since the epoch
        actor_id   TEXT,
        actor_name TEXT,
        subject    TEXT    NOT NULL,
        release_id TEXT,
        summary    TEXT    NOT NULL,
        data       TEXT    NOT NULL, -- JSON
        concerns   TEXT    NOT NULL, -- JSON: [user id, ...]
        stored_at  INTEGER NOT NULL  -- ms since the epoch
    ) STRICT;

    CREATE INDEX activity_by_type ON activity (type, sequence);
    CREATE INDEX activity_by_family ON activity (family, sequence);
    CREATE INDEX activity_by_release ON activity (release_id, sequence)
        WHERE release_id IS NOT NULL;

    -- The actor of each entry and whom it concerns.
    CREATE TABLE activity_people (
        user_id  TEXT    NOT NULL,
        sequence INTEGER NOT NULL,
        PRIMARY KEY (user_id, sequence)
    ) STRICT, WITHOUT ROWID;
";

/// The SQLite backend.
#[derive(Clone)]
pub(crate) struct SqliteActivityStore {
    db: Database,
}

impl SqliteActivityStore {
    /// The log in `db`.
    pub(crate) fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Check for SqliteActivityStore {
    async fn check(&self) -> Result<(), Problem> {
        self.db.check().await
    }
}

#[async_trait]
impl ActivityStore for SqliteActivityStore {
    async fn append(
        &self,
        activities: Vec<Activity>,
        now: Timestamp,
    ) -> Result<Appended, StoreError> {
        let append = self.db.write(move |c| append(c, &activities, now));
        Ok(append.await?)
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        let query = query.clone();
        Ok(self.db.read(move |c| list::page(c, &query)).await?)
    }

    async fn newest(&self) -> Result<u64, StoreError> {
        Ok(self.db.read(newest).await?)
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let prune = self.db.write(move |c| prune(c, before, limit));
        Ok(prune.await?)
    }
}

fn newest(c: &Connection) -> Result<u64, StorageError> {
    let newest: Option<u64> = c
        .prepare_cached("SELECT max(sequence) FROM activity")?
        .query_row([], |row| row.get(0))?;
    Ok(newest.unwrap_or(0))
}

/// Appends within the writer's transaction, which holds SQLite's write lock: nobody else
/// takes a number between reading the highest and committing the next.
fn append(
    c: &Connection,
    activities: &[Activity],
    now: Timestamp,
) -> Result<Appended, StorageError> {
    let before = newest(c)?;
    let mut newest = before;
    let mut insert_person =
        c.prepare_cached("INSERT INTO activity_people (user_id, sequence) VALUES (?1, ?2)")?;
    for activity in activities {
        if !insert(c, newest + 1, activity, now)? {
            continue;
        }
        newest += 1;
        for person in activity.people() {
            insert_person.execute(params![person.to_string(), newest])?;
        }
    }
    Ok(Appended {
        count: newest - before,
        newest,
    })
}

/// Whether the event was not in the log before.
fn insert(
    c: &Connection,
    sequence: u64,
    activity: &Activity,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let concerns = serde_json::to_string(&activity.concerns)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let inserted = c
        .prepare_cached(
            "INSERT INTO activity (sequence, event_id, type, time, actor_id, actor_name,
                 subject, release_id, summary, data, concerns, stored_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (event_id) DO NOTHING",
        )?
        .execute(params![
            sequence,
            activity.id.to_string(),
            activity.event_type,
            to_column(activity.time),
            activity.actor.as_ref().map(|actor| actor.id.to_string()),
            activity.actor.as_ref().map(|actor| &actor.username),
            activity.subject,
            activity.release_id.map(|id| id.to_string()),
            activity.summary,
            activity.data,
            concerns,
            to_column(now),
        ])?;
    Ok(inserted == 1)
}

/// Deletes a prefix of the log: up to the first entry that is young enough to be kept,
/// so that what is kept stays without gaps even where clocks disagree.
fn prune(c: &Connection, before: Timestamp, limit: usize) -> Result<usize, StorageError> {
    let newest = newest(c)?;
    let mut oldest = c.prepare_cached(
        "SELECT sequence, stored_at, actor_id, concerns FROM activity
         WHERE sequence < ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let mut delete_person =
        c.prepare_cached("DELETE FROM activity_people WHERE user_id = ?1 AND sequence = ?2")?;
    let mut rows = oldest.query((newest, limit))?;
    let mut pruned = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= to_column(before) {
            break;
        }
        let sequence: u64 = row.get(0)?;
        let actor: Option<String> = row.get(2)?;
        let concerns = parse_ids(&row.get::<_, String>(3)?)?;
        for person in actor
            .into_iter()
            .chain(concerns.iter().map(Uuid::to_string))
        {
            delete_person.execute((person, sequence))?;
        }
        pruned.push(sequence);
    }
    drop(rows);
    let mut delete = c.prepare_cached("DELETE FROM activity WHERE sequence = ?1")?;
    for sequence in &pruned {
        delete.execute([sequence])?;
    }
    Ok(pruned.len())
}

fn parse_ids(json: &str) -> Result<Vec<Uuid>, rusqlite::Error> {
    serde_json::from_str(json).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::activity::contract;

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let open = {
            let path = dir.path().join("notify.db");
            move || -> Arc<dyn ActivityStore> {
                Arc::new(SqliteActivityStore::new(crate::store::open(&path).unwrap()))
            }
        };
        (dir, open)
    });

    #[tokio::test]
    async fn what_is_pruned_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store =
            SqliteActivityStore::new(crate::store::open(&dir.path().join("notify.db")).unwrap());
        let log = contract::log(20);
        store.append(log, Timestamp::UNIX_EPOCH).await.unwrap();
        assert_eq!(store.prune(Timestamp::MAX, 100).await.unwrap(), 19);
        let people: Vec<u64> = store
            .db
            .read(|c| {
                let mut query = c.prepare("SELECT DISTINCT sequence FROM activity_people")?;
                let rows = query.query_map([], |row| row.get(0))?;
                Ok::<_, StorageError>(rows.collect::<Result<_, _>>()?)
            })
            .await
            .unwrap();
        assert!(people.iter().all(|sequence| *sequence == 20), "{people:?}");
    }
}
