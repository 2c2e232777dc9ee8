//! Numbered migrations: the n-th brings a file from version n-1 to n.

use rusqlite::{Connection, TransactionBehavior};

use super::StorageError;

/// Applies the missing migrations, each in one transaction with its number. Safe when several
/// processes start with one file at the same time.
pub(super) fn apply(connection: &mut Connection, migrations: &[&str]) -> Result<(), StorageError> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: usize =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > migrations.len() {
            return Err(StorageError::Unusable(format!(
                "the file has schema version {version}, this Slipway knows {}: a newer Slipway made it",
                migrations.len()
            )));
        }
        let Some(migration) = migrations.get(version) else {
            return Ok(());
        };
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
}
