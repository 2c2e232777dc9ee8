//! Numbered schema changes: the n-th brings a file from version n-1 to n, counted from the
//! versions that cannot be read any more.

use rusqlite::{Connection, TransactionBehavior};

use super::StorageError;

/// Applies the migrations that the file has not seen, each in a transaction with its
/// number. Safe when several processes start on one file at once.
pub(super) fn apply(
    connection: &mut Connection,
    earlier: usize,
    migrations: &[&str],
) -> Result<(), StorageError> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: usize =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if (1..=earlier).contains(&version) {
            return Err(StorageError::Unusable(
                "the file was made by an earlier version, whose data this one cannot read: set \
                 another data directory, or move this one away"
                    .into(),
            ));
        }
        let seen = version.saturating_sub(earlier);
        if seen > migrations.len() {
            return Err(StorageError::Unusable(format!(
                "the file has schema version {version}, this Slipway knows {}: a newer one made it",
                earlier + migrations.len()
            )));
        }
        let Some(migration) = migrations.get(seen) else {
            return Ok(());
        };
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", earlier + seen + 1)?;
        transaction.commit()?;
    }
}
