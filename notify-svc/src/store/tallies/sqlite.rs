//! Tallies in SQLite.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slipway_mesh::store::sqlite::{Database, StorageError, from_column, malformed, to_column};

use super::TallyStore;
use crate::{notification::Tally, store::StoreError};

/// Its table.
pub(in crate::store) const SCHEMA: &str = "
    CREATE TABLE tallies (
        key           TEXT    PRIMARY KEY,
        revision      INTEGER NOT NULL,
        mails         TEXT    NOT NULL, -- JSON: [{id, at}, ...]
        gathers_until INTEGER,          -- ms since the epoch
        changed_at    INTEGER NOT NULL  -- ms since the epoch
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX tallies_by_change ON tallies (changed_at);
";

const FIND: &str =
    "SELECT key, revision, mails, gathers_until, changed_at FROM tallies WHERE key = ?1";
const OLD: &str = "SELECT key FROM tallies WHERE changed_at < ?1 ORDER BY changed_at LIMIT ?2";

/// The SQLite backend.
#[derive(Clone)]
pub(crate) struct SqliteTallyStore {
    db: Database,
}

impl SqliteTallyStore {
    /// The tallies in `db`.
    pub(crate) fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl TallyStore for SqliteTallyStore {
    async fn find(&self, keys: &[String]) -> Result<Vec<Tally>, StoreError> {
        let keys = keys.to_vec();
        let find = self.db.read(move |c| {
            let mut query = c.prepare_cached(FIND)?;
            let mut found = Vec::new();
            for key in keys {
                found.extend(query.query_row([key], tally).optional()?);
            }
            Ok::<_, StorageError>(found)
        });
        Ok(find.await?)
    }

    async fn save(&self, tallies: Vec<Tally>) -> Result<bool, StoreError> {
        let save = self.db.write(move |c| {
            let mut all = true;
            for tally in &tallies {
                all &= save(c, tally)?;
            }
            Ok::<_, StorageError>(all)
        });
        Ok(save.await?)
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let prune = self.db.write(move |c| {
            let deleted = c
                .prepare_cached(&format!("DELETE FROM tallies WHERE key IN ({OLD})"))?
                .execute(params![to_column(before), limit])?;
            Ok::<_, StorageError>(deleted)
        });
        Ok(prune.await?)
    }
}

fn save(c: &Connection, tally: &Tally) -> Result<bool, StorageError> {
    let mails = serde_json::to_string(&tally.mails)
        .map_err(|error| StorageError::Unusable(error.to_string()))?;
    let sql = match tally.revision {
        1 => {
            "INSERT INTO tallies (key, revision, mails, gathers_until, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO NOTHING"
        }
        _ => {
            "UPDATE tallies SET revision = ?2, mails = ?3, gathers_until = ?4, changed_at = ?5
             WHERE key = ?1 AND revision = ?2 - 1"
        }
    };
    let changed = c.prepare_cached(sql)?.execute(params![
        tally.key,
        tally.revision,
        mails,
        tally.gathers_until.map(to_column),
        to_column(tally.changed_at),
    ])?;
    Ok(changed == 1)
}

fn tally(row: &Row<'_>) -> Result<Tally, rusqlite::Error> {
    let gathers_until: Option<i64> = row.get(3)?;
    Ok(Tally {
        key: row.get(0)?,
        revision: row.get(1)?,
        mails: serde_json::from_str(&row.get::<_, String>(2)?).map_err(malformed)?,
        gathers_until: gathers_until.map(from_column).transpose()?,
        changed_at: from_column(row.get(4)?)?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::store::sqlite::testing::search;

    use super::*;
    use crate::store::{MIGRATIONS, open, tallies::contract};

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteTallyStore::new(open(&dir.path().join("notify.db")).unwrap());
        (dir, Arc::new(store))
    });

    #[test]
    fn every_question_is_a_search_in_an_index_and_nothing_is_sorted() {
        for sql in [FIND, OLD] {
            search(MIGRATIONS, sql);
        }
    }
}
