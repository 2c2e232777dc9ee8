//! Creates the tables for the declared collections.

use crate::{outbox::sqlite as outbox, receipts::sqlite as receipts};
use rusqlite::Connection;
use slipway_sqlite::StorageError;

use crate::document::{Collection, Index, IndexKind};

/// The version of the file's layout, apart from the tables of collections. Old versions, which did
/// not store documents, used small numbers.
const LAYOUT: u32 = 1_001;

/// The table of an index.
pub(super) fn of_index(collection: Collection, index: &str) -> String {
    format!("{}__{index}", collection.name)
}

/// Creates missing tables.
pub(super) fn create(
    connection: &mut Connection,
    collections: &[Collection],
) -> Result<(), StorageError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let layout: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match layout {
        LAYOUT => {}
        0 => {
            transaction.execute_batch(outbox::SCHEMA)?;
            transaction.execute_batch(receipts::SCHEMA)?;
            transaction.pragma_update(None, "user_version", LAYOUT)?;
        }
        _ => {
            return Err(StorageError::Unusable(
                "the file was made by another version, whose data this one cannot read: set \
                 another data directory, or move this one away"
                    .into(),
            ));
        }
    }
    for collection in collections {
        transaction.execute_batch(&table(*collection))?;
        for index in collection.indexes {
            transaction.execute_batch(&index_table(*collection, *index))?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn table(collection: Collection) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (
            id       TEXT    NOT NULL PRIMARY KEY,
            revision INTEGER NOT NULL,
            schema   INTEGER NOT NULL,
            body     TEXT    NOT NULL,
            summary  TEXT    NOT NULL
        ) STRICT;",
        collection.name
    )
}

fn index_table(collection: Collection, index: Index) -> String {
    let (columns, options) = match index.kind {
        // Served by the primary key of the collection's own table.
        IndexKind::Id => return String::new(),
        IndexKind::Unique => (
            "k TEXT NOT NULL PRIMARY KEY, id TEXT NOT NULL",
            "STRICT, WITHOUT ROWID",
        ),
        IndexKind::List if index.has_summaries => (
            "k TEXT NOT NULL, o TEXT NOT NULL, id TEXT NOT NULL, schema INTEGER NOT NULL DEFAULT 0,
             summary TEXT NOT NULL DEFAULT '', PRIMARY KEY (k, o, id)",
            "STRICT, WITHOUT ROWID",
        ),
        IndexKind::List => (
            "k TEXT NOT NULL, o TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (k, o, id)",
            "STRICT, WITHOUT ROWID",
        ),
        // Not WITHOUT ROWID: the values may be long, and rows that are found by their key should be
        // short.
        IndexKind::View => (
            "k TEXT NOT NULL, id TEXT NOT NULL, schema INTEGER NOT NULL, v TEXT NOT NULL,
             PRIMARY KEY (k, id)",
            "STRICT",
        ),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {} ({columns}) {options};",
        of_index(collection, index.name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_version_without_documents_is_refused() {
        let mut c = Connection::open_in_memory().unwrap();
        c.pragma_update(None, "user_version", 15).unwrap();
        let refused = create(&mut c, &[]).unwrap_err().to_string();
        assert!(refused.contains("another data directory"), "{refused}");
        c.pragma_update(None, "user_version", 0).unwrap();
        create(&mut c, &[]).unwrap();
        create(&mut c, &[]).unwrap();
    }
}
