//! The stores in one SQLite file.

mod releases;
mod rows;
mod tasks;
mod users;

use std::{path::Path, sync::Arc};

use rusqlite::Connection;
use slipway_sqlite::{Database, StorageError};
use slipway_store::{
    outbox::sqlite::{BY_AGGREGATE, OWN_IDS, SCHEMA as OUTBOX, SqliteOutbox, append},
    receipts::{sqlite as receipts, sqlite::SqliteReceipts},
};

use super::{Commit, StoreError, Stores};

/// Sorts behind every id.
const BEHIND_ALL: &str = "~";

const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE users (
        id            TEXT PRIMARY KEY,
        username      TEXT NOT NULL,
        username_key  TEXT NOT NULL UNIQUE, -- in lower case
        email         TEXT NOT NULL,
        email_key     TEXT NOT NULL UNIQUE, -- in lower case
        role          TEXT NOT NULL,
        password_hash TEXT NOT NULL,
        created_at    INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX users_by_role ON users (role);

    CREATE TABLE login_failures (
        id      INTEGER PRIMARY KEY,
        subject TEXT    NOT NULL,
        at      INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX login_failures_by_subject ON login_failures (subject, at);
    CREATE INDEX login_failures_by_time ON login_failures (at);

    CREATE TABLE releases (
        id              TEXT PRIMARY KEY,
        revision        INTEGER NOT NULL,
        name            TEXT    NOT NULL,
        description     TEXT    NOT NULL,
        version         TEXT    NOT NULL,
        is_completed    INTEGER NOT NULL,
        completed_at    INTEGER,
        created_by      TEXT    NOT NULL,
        created_by_name TEXT    NOT NULL,
        created_at      INTEGER NOT NULL,
        reopened_count  INTEGER NOT NULL,
        total_tasks     INTEGER NOT NULL,
        completed_tasks INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX releases_by_state ON releases (is_completed, id);

    CREATE TABLE tasks (
        id            TEXT PRIMARY KEY,
        release_id    TEXT    NOT NULL REFERENCES releases (id),
        order_index   INTEGER NOT NULL,
        title         TEXT    NOT NULL,
        description   TEXT    NOT NULL,
        assignee      TEXT    NOT NULL,
        assignee_name TEXT    NOT NULL,
        status        TEXT    NOT NULL,
        hotfix        INTEGER NOT NULL,
        created_at    INTEGER NOT NULL,
        started_at    INTEGER,
        completed_at  INTEGER,
        due_at        INTEGER,
        UNIQUE (release_id, order_index)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tasks_by_assignee ON tasks (assignee, release_id DESC, order_index);
    CREATE INDEX tasks_by_assignee_and_status
        ON tasks (assignee, status, release_id DESC, order_index);

    -- A developer works on one task at any moment, on the whole platform.
    CREATE TABLE active_developers (
        developer TEXT PRIMARY KEY,
        task_id   TEXT NOT NULL REFERENCES tasks (id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE receipts (
        key         TEXT PRIMARY KEY,
        fingerprint BLOB    NOT NULL,
        response    BLOB    NOT NULL,
        at          INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX receipts_by_time ON receipts (at);
    ",
    OUTBOX,
    BY_AGGREGATE,
    OWN_IDS,
    "
    CREATE TABLE registration_counts (
        hour    INTEGER NOT NULL, -- since 1970
        subject TEXT    NOT NULL,
        count   INTEGER NOT NULL,
        PRIMARY KEY (hour, subject)
    ) STRICT, WITHOUT ROWID;
    ",
];

/// One database, all stores.
#[derive(Clone)]
pub(super) struct SqliteStore {
    db: Database,
}

impl Stores {
    /// The stores in the SQLite file at `path`, which is created if it is not there.
    /// Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, StorageError> {
        let db = Database::open(path, "release", MIGRATIONS)?;
        let store = Arc::new(SqliteStore { db: db.clone() });
        Ok(Self {
            releases: store.clone(),
            users: store,
            receipts: Arc::new(SqliteReceipts::new(db.clone())),
            outbox: Arc::new(SqliteOutbox::new(db.clone())),
            check: Arc::new(db),
        })
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        Self(error.to_string())
    }
}

/// Why the shared part of a commit failed.
enum CommitError {
    Receipt,
    Storage(StorageError),
}

impl From<StorageError> for CommitError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Stores what is committed along with a change, within the change's transaction.
fn commit(c: &Connection, commit: &Commit) -> Result<(), CommitError> {
    append(c, &commit.events)?;
    let Some(receipt) = &commit.receipt else {
        return Ok(());
    };
    if receipts::insert(c, receipt)? {
        Ok(())
    } else {
        Err(CommitError::Receipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("release.db");
        (dir, move || Stores::sqlite(&path).unwrap())
    });
}
