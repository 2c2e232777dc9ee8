//! The readers: a few connections, each used by one blocking thread at a time.

use std::{path::Path, sync::Arc};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{StorageError, connect};

/// Readers per file. More would only queue on the cores.
const READERS: usize = 4;

#[derive(Clone)]
pub(super) struct Readers(Arc<Pool>);

struct Pool {
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, StorageError> {
        let idle = (0..READERS)
            .map(|_| connect(path, true))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self(Arc::new(Pool {
            permits: Semaphore::new(idle.len()),
            idle: Mutex::new(idle),
        })))
    }

    pub(super) async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let pool = Arc::clone(&self.0);
        let _permit = self
            .0
            .permits
            .acquire()
            .await
            .map_err(|_| StorageError::Gone)?;
        tokio::task::spawn_blocking(move || {
            let lease = Lease::take(&pool)?;
            lease.snapshot(job)
        })
        .await
        .map_err(|_| StorageError::Gone)?
    }
}

/// A connection that goes back to the pool whatever happens to the job.
struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl<'a> Lease<'a> {
    fn take(pool: &'a Pool) -> Result<Self, StorageError> {
        let connection = pool.idle.lock().pop().ok_or(StorageError::Gone)?;
        Ok(Self {
            pool,
            connection: Some(connection),
        })
    }

    fn snapshot<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E>,
        E: From<StorageError>,
    {
        let connection = self.connection.as_ref().ok_or(StorageError::Gone)?;
        // Ends, by rollback, when it is dropped: also when the job panics.
        let _snapshot = connection
            .unchecked_transaction()
            .map_err(StorageError::from)?;
        job(connection)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.idle.lock().push(connection);
        }
    }
}
