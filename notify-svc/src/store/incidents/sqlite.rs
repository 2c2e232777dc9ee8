//! Incidents in SQLite: what is searched by in columns, the whole as JSON.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, params};
use slipway_mesh::{
    page::Page,
    store::sqlite::{Database, StorageError, malformed, to_column},
};

use super::{IncidentKey, IncidentStore};
use crate::{
    incident::{Incident, State},
    store::StoreError,
};

/// Its table.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE incidents (
        id          TEXT    NOT NULL PRIMARY KEY,
        fingerprint TEXT    NOT NULL UNIQUE,
        revision    INTEGER NOT NULL,
        state       TEXT    NOT NULL,
        last_seen   INTEGER NOT NULL, -- ms since the epoch
        lasts       INTEGER NOT NULL, -- whether silence does not end it
        owing       INTEGER NOT NULL, -- whether somebody has yet to be told
        incident    TEXT    NOT NULL  -- JSON
    ) STRICT;

    CREATE INDEX incidents_by_time ON incidents (last_seen, id);
    CREATE INDEX incidents_by_state ON incidents (state, last_seen, id);
    CREATE INDEX incidents_owing ON incidents (id) WHERE owing = 1;
";

const LIST: &str = "SELECT incident FROM incidents WHERE (last_seen, id) < (?1, ?2)
    ORDER BY last_seen DESC, id DESC LIMIT ?3";
const LIST_BY_STATE: &str = "SELECT incident FROM incidents
    WHERE state = ?4 AND (last_seen, id) < (?1, ?2)
    ORDER BY last_seen DESC, id DESC LIMIT ?3";
const OWING: &str = "SELECT incident FROM incidents WHERE owing = 1 ORDER BY id LIMIT ?1";
const SILENT: &str = "SELECT incident FROM incidents
    WHERE state = 'OPEN' AND last_seen < ?1 AND lasts = 0 ORDER BY last_seen LIMIT ?2";

/// The SQLite backend.
#[derive(Clone)]
pub(crate) struct SqliteIncidentStore {
    db: Database,
}

impl SqliteIncidentStore {
    /// The incidents in `db`.
    pub(crate) fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl IncidentStore for SqliteIncidentStore {
    async fn find(&self, fingerprint: &str) -> Result<Option<Incident>, StoreError> {
        let fingerprint = fingerprint.to_owned();
        let find = self.db.read(move |c| {
            let json: Option<String> = c
                .prepare_cached("SELECT incident FROM incidents WHERE fingerprint = ?1")?
                .query_row([fingerprint], |row| row.get(0))
                .optional()?;
            Ok::<_, StorageError>(json.as_deref().map(parse).transpose()?)
        });
        Ok(find.await?)
    }

    async fn insert(&self, incident: &Incident) -> Result<bool, StoreError> {
        let incident = incident.clone();
        let insert = self.db.write(move |c| {
            let inserted = c
                .prepare_cached(
                    "INSERT INTO incidents
                         (id, fingerprint, revision, state, last_seen, lasts, owing, incident)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT (fingerprint) DO NOTHING",
                )?
                .execute(params![
                    incident.id.to_string(),
                    incident.fingerprint,
                    incident.revision,
                    incident.state.as_str(),
                    to_column(incident.last_seen),
                    incident.lasts,
                    incident.is_owing(),
                    to_json(&incident)?,
                ])?;
            Ok::<_, StorageError>(inserted == 1)
        });
        Ok(insert.await?)
    }

    async fn save(&self, incident: &Incident) -> Result<bool, StoreError> {
        let incident = incident.clone();
        let save = self.db.write(move |c| {
            let saved = c
                .prepare_cached(
                    "UPDATE incidents SET revision = ?2, state = ?3, last_seen = ?4, lasts = ?5,
                         owing = ?6, incident = ?7
                     WHERE id = ?1 AND revision = ?2 - 1",
                )?
                .execute(params![
                    incident.id.to_string(),
                    incident.revision,
                    incident.state.as_str(),
                    to_column(incident.last_seen),
                    incident.lasts,
                    incident.is_owing(),
                    to_json(&incident)?,
                ])?;
            Ok::<_, StorageError>(saved == 1)
        });
        Ok(save.await?)
    }

    async fn list(
        &self,
        state: Option<State>,
        after: Option<IncidentKey>,
        limit: u32,
    ) -> Result<Page<Incident, IncidentKey>, StoreError> {
        let (time, id) = match after {
            Some((time, id)) => (to_column(time), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let found = self.db.read(move |c| match state {
            None => select(c, LIST, params![time, id, limit + 1]),
            Some(state) => {
                let state = state.as_str();
                select(c, LIST_BY_STATE, params![time, id, limit + 1, state])
            }
        });
        Ok(Page::from_overfetch(found.await?, limit, |last| {
            (last.last_seen, last.id)
        }))
    }

    async fn owing(&self, limit: u32) -> Result<Vec<Incident>, StoreError> {
        Ok(self.db.read(move |c| select(c, OWING, [limit])).await?)
    }

    async fn silent(&self, before: Timestamp, limit: u32) -> Result<Vec<Incident>, StoreError> {
        let before = to_column(before);
        let found = self
            .db
            .read(move |c| select(c, SILENT, params![before, limit]));
        Ok(found.await?)
    }
}

fn select(c: &Connection, sql: &str, params: impl Params) -> Result<Vec<Incident>, StorageError> {
    let mut query = c.prepare_cached(sql)?;
    let rows = query.query_map(params, |row| parse(&row.get::<_, String>(0)?))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn parse(json: &str) -> Result<Incident, rusqlite::Error> {
    serde_json::from_str(json).map_err(malformed)
}

fn to_json(incident: &Incident) -> Result<String, StorageError> {
    serde_json::to_string(incident).map_err(|error| StorageError::Unusable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::store::sqlite::testing::{plan, search};

    use super::*;
    use crate::store::{MIGRATIONS, incidents::contract, open};

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteIncidentStore::new(open(&dir.path().join("notify.db")).unwrap());
        (dir, Arc::new(store))
    });

    #[test]
    fn every_question_is_a_search_in_an_index_and_nothing_is_sorted() {
        for sql in [LIST, LIST_BY_STATE, SILENT] {
            search(MIGRATIONS, sql);
        }
        // An index of nothing else.
        let owing = plan(MIGRATIONS, OWING);
        assert_eq!(owing, ["SCAN incidents USING INDEX incidents_owing"]);
    }
}
