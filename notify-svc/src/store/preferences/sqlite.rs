//! What users want, in SQLite.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use slipway_mesh::{
    life::{Check, Problem},
    store::sqlite::{Database, StorageError, from_column, malformed, to_column},
};
use uuid::Uuid;

use super::{Chosen, PreferenceStore};
use crate::{preferences::Preferences, store::StoreError};

/// Its table.
pub(in crate::store) const SCHEMA: &str = "
    CREATE TABLE preferences (
        user_id  TEXT    PRIMARY KEY,
        revision INTEGER NOT NULL,
        chosen   TEXT    NOT NULL, -- JSON
        at       INTEGER NOT NULL  -- ms since the epoch
    ) STRICT, WITHOUT ROWID;
";

/// The SQLite backend.
#[derive(Clone)]
pub(crate) struct SqlitePreferenceStore {
    db: Database,
}

impl SqlitePreferenceStore {
    /// The preferences in `db`.
    pub(crate) fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Check for SqlitePreferenceStore {
    async fn check(&self) -> Result<(), Problem> {
        self.db.check().await
    }
}

#[async_trait]
impl PreferenceStore for SqlitePreferenceStore {
    async fn of(&self, user: Uuid) -> Result<Chosen, StoreError> {
        let found = self.db.read(move |c| read(c, user)).await?;
        Ok(found.unwrap_or_else(Chosen::never))
    }

    async fn of_all(&self, users: &[Uuid]) -> Result<HashMap<Uuid, Preferences>, StoreError> {
        let users = users.to_vec();
        let read = self.db.read(move |c| {
            let mut found = HashMap::new();
            for user in users {
                if let Some(chosen) = read(c, user)? {
                    found.insert(user, chosen.preferences);
                }
            }
            Ok::<_, StorageError>(found)
        });
        Ok(read.await?)
    }

    async fn choose(
        &self,
        user: Uuid,
        preferences: Preferences,
        expected: Option<u64>,
        at: Timestamp,
    ) -> Result<Option<Chosen>, StoreError> {
        let choose = self
            .db
            .write(move |c| choose(c, user, preferences, expected, at));
        Ok(choose.await?)
    }
}

fn read(c: &Connection, user: Uuid) -> Result<Option<Chosen>, StorageError> {
    let mut query =
        c.prepare_cached("SELECT revision, chosen, at FROM preferences WHERE user_id = ?1")?;
    let found = query.query_row([user.to_string()], |row| {
        let chosen: String = row.get(1)?;
        Ok(Chosen {
            preferences: serde_json::from_str(&chosen).map_err(malformed)?,
            revision: row.get(0)?,
            at: Some(from_column(row.get(2)?)?),
        })
    });
    Ok(found.optional()?)
}

fn choose(
    c: &Connection,
    user: Uuid,
    preferences: Preferences,
    expected: Option<u64>,
    at: Timestamp,
) -> Result<Option<Chosen>, StorageError> {
    let before = read(c, user)?.map_or(0, |chosen| chosen.revision);
    if expected.is_some_and(|expected| expected != before) {
        return Ok(None);
    }
    let revision = before + 1;
    let text = serde_json::to_string(&preferences)
        .map_err(|error| StorageError::Unusable(error.to_string()))?;
    c.prepare_cached(
        "INSERT INTO preferences (user_id, revision, chosen, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (user_id) DO UPDATE SET revision = excluded.revision,
             chosen = excluded.chosen, at = excluded.at",
    )?
    .execute(params![user.to_string(), revision, text, to_column(at)])?;
    Ok(Some(Chosen {
        preferences,
        revision,
        at: Some(at),
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::preferences::contract;

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let open = {
            let path = dir.path().join("notify.db");
            move || -> Arc<dyn PreferenceStore> {
                Arc::new(SqlitePreferenceStore::new(
                    crate::store::open(&path).unwrap(),
                ))
            }
        };
        (dir, open)
    });
}
