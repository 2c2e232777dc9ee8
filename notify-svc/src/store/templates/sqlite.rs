//! Saved templates in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slipway_mesh::{
    life::{Check, Problem},
    store::sqlite::{Database, StorageError, from_column, malformed, to_column},
};
use slipway_proto::events::UserRef;

use super::{Head, OWN_TYPES, Saved, TemplateStore, VERSIONS_KEPT};
use crate::{store::StoreError, templates::Version};

/// Its tables.
pub(in crate::store) const SCHEMA: &str = "
    CREATE TABLE templates (
        kind   TEXT    PRIMARY KEY,
        number INTEGER NOT NULL -- of the latest version
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE template_versions (
        kind        TEXT    NOT NULL,
        number      INTEGER NOT NULL,
        content     TEXT,             -- JSON; NULL: what came with Slipway
        author_id   TEXT    NOT NULL,
        author_name TEXT    NOT NULL,
        at          INTEGER NOT NULL, -- ms since the epoch
        PRIMARY KEY (kind, number)
    ) STRICT;
";

/// Which types are administrators' own: so many there may be.
pub(in crate::store) const OWN: &str = "
    ALTER TABLE templates ADD COLUMN own INTEGER NOT NULL DEFAULT 0;
    UPDATE templates SET own = 1 WHERE EXISTS (
        SELECT 1 FROM template_versions v
        WHERE v.kind = templates.kind AND v.number = templates.number
          AND json_extract(v.content, '$.sample') IS NOT NULL);
    CREATE INDEX templates_own ON templates (kind) WHERE own = 1;
";

const COLUMNS: &str = "SELECT v.kind, v.number, v.content, v.author_id, v.author_name, v.at \
     FROM template_versions v";

/// The SQLite backend.
#[derive(Clone)]
pub(crate) struct SqliteTemplateStore {
    db: Database,
}

impl SqliteTemplateStore {
    /// The templates in `db`.
    pub(crate) fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Check for SqliteTemplateStore {
    async fn check(&self) -> Result<(), Problem> {
        self.db.check().await
    }
}

#[async_trait]
impl TemplateStore for SqliteTemplateStore {
    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let heads = self.db.read(|c| {
            let mut query = c.prepare_cached("SELECT kind, number FROM templates ORDER BY kind")?;
            let heads = query.query_map([], |row| {
                Ok(Head {
                    kind: row.get(0)?,
                    number: row.get(1)?,
                })
            })?;
            Ok::<_, StorageError>(heads.collect::<Result<_, _>>()?)
        });
        Ok(heads.await?)
    }

    async fn latest(&self, kinds: &[String]) -> Result<Vec<Version>, StoreError> {
        let mut kinds = kinds.to_vec();
        kinds.sort_unstable();
        let latest = self.db.read(move |c| {
            let mut query = c.prepare_cached(&format!(
                "{COLUMNS} JOIN templates t ON t.kind = v.kind AND t.number = v.number
                 WHERE v.kind = ?1"
            ))?;
            let mut found = Vec::new();
            for kind in kinds {
                found.extend(query.query_row([kind], version).optional()?);
            }
            Ok::<_, StorageError>(found)
        });
        Ok(latest.await?)
    }

    async fn versions(
        &self,
        kind: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError> {
        let (kind, before) = (kind.to_owned(), i64::try_from(before).unwrap_or(i64::MAX));
        let versions = self.db.read(move |c| {
            let mut query = c.prepare_cached(&format!(
                "{COLUMNS} WHERE v.kind = ?1 AND v.number < ?2 ORDER BY v.number DESC LIMIT ?3"
            ))?;
            let versions = query.query_map(params![kind, before, limit], version)?;
            Ok::<_, StorageError>(versions.collect::<Result<_, _>>()?)
        });
        Ok(versions.await?)
    }

    async fn append(&self, version: Version) -> Result<Saved, StoreError> {
        Ok(self.db.write(move |c| append(c, &version)).await?)
    }
}

fn append(c: &Connection, version: &Version) -> Result<Saved, StorageError> {
    let latest: Option<u64> = c
        .prepare_cached("SELECT number FROM templates WHERE kind = ?1")?
        .query_row([&version.kind], |row| row.get(0))
        .optional()?;
    if latest.unwrap_or(0) + 1 != version.number {
        return Ok(Saved::Overtaken);
    }
    if version.is_own() && others(c, &version.kind)? >= OWN_TYPES {
        return Ok(Saved::Full);
    }
    let content = version.content.as_ref().map(serde_json::to_string);
    let content = content
        .transpose()
        .map_err(|error| StorageError::Unusable(error.to_string()))?;
    c.prepare_cached(
        "INSERT INTO templates (kind, number, own) VALUES (?1, ?2, ?3)
         ON CONFLICT (kind) DO UPDATE SET number = excluded.number, own = excluded.own",
    )?
    .execute(params![version.kind, version.number, version.is_own()])?;
    c.prepare_cached(
        "INSERT INTO template_versions (kind, number, content, author_id, author_name, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        version.kind,
        version.number,
        content,
        version.author.id.to_string(),
        version.author.username,
        to_column(version.at),
    ])?;
    c.prepare_cached("DELETE FROM template_versions WHERE kind = ?1 AND number <= ?2")?
        .execute(params![
            version.kind,
            version.number.saturating_sub(VERSIONS_KEPT)
        ])?;
    Ok(Saved::Stored)
}

/// How many other types are administrators' own.
fn others(c: &Connection, kind: &str) -> Result<usize, StorageError> {
    let others = c
        .prepare_cached("SELECT count(*) FROM templates WHERE own = 1 AND kind <> ?1")?
        .query_row([kind], |row| row.get(0))?;
    Ok(others)
}

fn version(row: &Row<'_>) -> Result<Version, rusqlite::Error> {
    let content: Option<String> = row.get(2)?;
    let content = content.map(|text| serde_json::from_str(&text));
    Ok(Version {
        kind: row.get(0)?,
        number: row.get(1)?,
        content: content.transpose().map_err(malformed)?,
        author: UserRef {
            id: row.get::<_, String>(3)?.parse().map_err(malformed)?,
            username: row.get(4)?,
        },
        at: from_column(row.get(5)?)?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::templates::contract;

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let open = {
            let path = dir.path().join("notify.db");
            move || -> Arc<dyn TemplateStore> {
                Arc::new(SqliteTemplateStore::new(crate::store::open(&path).unwrap()))
            }
        };
        (dir, open)
    });
}
