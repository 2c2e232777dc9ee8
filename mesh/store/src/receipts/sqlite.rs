//! Receipts in an SQLite database: a table next to the service's own.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use super::{RECEIPT_TTL, Receipt, ReceiptKey, ReceiptStore};
use crate::StoreError;
use slipway_sqlite::{Database, StorageError, from_column, to_column};

/// The SQL of the table, for a service's migrations.
pub const SCHEMA: &str = "
    CREATE TABLE receipts (
        key         TEXT PRIMARY KEY,
        fingerprint BLOB    NOT NULL,
        response    BLOB    NOT NULL,
        at          INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX receipts_by_time ON receipts (at);
";

/// Whether there is a receipt with the same key that has not expired at the time of this one.
pub(crate) fn is_known(c: &Connection, receipt: &Receipt) -> Result<bool, StorageError> {
    Ok(find(c, &receipt.key, receipt.at - RECEIPT_TTL)?.is_some())
}

/// Stores a receipt within the transaction of its effect; replaces an expired one.
pub(crate) fn insert(c: &Connection, receipt: &Receipt) -> Result<(), StorageError> {
    c.prepare_cached(
        "INSERT OR REPLACE INTO receipts (key, fingerprint, response, at) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((
        &receipt.key.0,
        &receipt.fingerprint,
        &receipt.response,
        to_column(receipt.at),
    ))?;
    Ok(())
}

/// The receipts in a database with the table of [`SCHEMA`].
#[derive(Clone)]
pub struct SqliteReceipts(Database);

impl SqliteReceipts {
    /// The receipts in `db`.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self(db)
    }
}

fn find(
    c: &Connection,
    key: &ReceiptKey,
    since: Timestamp,
) -> Result<Option<Receipt>, StorageError> {
    c.prepare_cached("SELECT fingerprint, response, at FROM receipts WHERE key = ?1 AND at > ?2")?
        .query_row((&key.0, to_column(since)), |row| {
            Ok(Receipt {
                key: key.clone(),
                fingerprint: row.get(0)?,
                response: row.get(1)?,
                at: from_column(row.get(2)?)?,
            })
        })
        .optional()
        .map_err(StorageError::from)
}

#[async_trait]
impl ReceiptStore for SqliteReceipts {
    async fn receipt(
        &self,
        key: ReceiptKey,
        since: Timestamp,
    ) -> Result<Option<Receipt>, StoreError> {
        let read = self.0.read(move |c| find(c, &key, since));
        Ok(read.await?)
    }

    async fn purge_receipts(&self, before: Timestamp) -> Result<(), StoreError> {
        let purge = self.0.write(move |c| {
            c.execute("DELETE FROM receipts WHERE at < ?1", [to_column(before)])
                .map_err(StorageError::from)
        });
        purge.await?;
        Ok(())
    }
}
