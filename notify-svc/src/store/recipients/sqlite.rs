//! The read model of the accounts in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use slipway_mesh::{
    life::{Check, Problem},
    store::sqlite::{Database, StorageError, malformed},
};
use slipway_proto::events::Role;
use uuid::Uuid;

use super::RecipientStore;
use crate::{recipients::Recipient, store::StoreError};

/// Its table.
pub(in crate::store) const SCHEMA: &str = "
    CREATE TABLE recipients (
        id           TEXT PRIMARY KEY,
        username     TEXT NOT NULL,
        username_key TEXT NOT NULL, -- in lower case
        email        TEXT NOT NULL,
        role         TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX recipients_by_username ON recipients (username_key);
    CREATE INDEX recipients_by_role ON recipients (role, id);
";

const COLUMNS: &str = "SELECT id, username, email, role FROM recipients";

/// The SQLite backend.
#[derive(Clone)]
pub(crate) struct SqliteRecipientStore {
    db: Database,
}

impl SqliteRecipientStore {
    /// The accounts in `db`.
    pub(crate) fn new(db: Database) -> Self {
        Self { db }
    }

    /// The accounts that `condition` finds for each of `keys`.
    async fn each(
        &self,
        condition: &'static str,
        keys: Vec<String>,
    ) -> Result<Vec<Recipient>, StoreError> {
        let read = self.db.read(move |c| {
            let mut query = c.prepare_cached(&format!("{COLUMNS} WHERE {condition}"))?;
            let mut found = Vec::new();
            for key in keys {
                for recipient in query.query_map([key], recipient)? {
                    found.push(recipient?);
                }
            }
            Ok::<_, StorageError>(found)
        });
        Ok(read.await?)
    }
}

#[async_trait]
impl Check for SqliteRecipientStore {
    async fn check(&self) -> Result<(), Problem> {
        self.db.check().await
    }
}

#[async_trait]
impl RecipientStore for SqliteRecipientStore {
    async fn put(&self, recipients: Vec<Recipient>) -> Result<(), StoreError> {
        let put = self.db.write(move |c| put(c, &recipients));
        Ok(put.await?)
    }

    async fn by_ids(&self, ids: &[Uuid]) -> Result<Vec<Recipient>, StoreError> {
        let ids = ids.iter().map(Uuid::to_string).collect();
        self.each("id = ?1", ids).await
    }

    async fn by_usernames(&self, names: &[String]) -> Result<Vec<Recipient>, StoreError> {
        let keys = names.iter().map(|name| Recipient::key(name)).collect();
        self.each("username_key = ?1", keys).await
    }

    async fn admins(&self) -> Result<Vec<Recipient>, StoreError> {
        let admin = role_text(Role::Admin).to_owned();
        self.each("role = ?1 ORDER BY id", vec![admin]).await
    }
}

fn put(c: &Connection, recipients: &[Recipient]) -> Result<(), StorageError> {
    let mut upsert = c.prepare_cached(
        "INSERT INTO recipients (id, username, username_key, email, role)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET username = excluded.username,
             username_key = excluded.username_key, email = excluded.email,
             role = excluded.role",
    )?;
    for recipient in recipients {
        upsert.execute(params![
            recipient.id.to_string(),
            recipient.username,
            Recipient::key(&recipient.username),
            recipient.email,
            role_text(recipient.role),
        ])?;
    }
    Ok(())
}

fn recipient(row: &Row<'_>) -> Result<Recipient, rusqlite::Error> {
    let role: String = row.get(3)?;
    Ok(Recipient {
        id: row.get::<_, String>(0)?.parse().map_err(malformed)?,
        username: row.get(1)?,
        email: row.get(2)?,
        role: serde_json::from_value(role.into()).map_err(malformed)?,
    })
}

fn role_text(role: Role) -> &'static str {
    match role {
        Role::Developer => "DEVELOPER",
        Role::Admin => "ADMIN",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::recipients::contract;

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let open = {
            let path = dir.path().join("notify.db");
            move || -> Arc<dyn RecipientStore> {
                Arc::new(SqliteRecipientStore::new(
                    crate::store::open(&path).unwrap(),
                ))
            }
        };
        (dir, open)
    });
}
