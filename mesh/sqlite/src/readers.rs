//! The readers: a few threads, each with a connection of its own, that take jobs from one
//! queue.

use std::{
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, OnceLock},
    thread,
};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    StorageError, connect,
    error::{FileFault, last_error},
};
use slipway_runtime::life::Problem;

/// Jobs that may wait; one more is refused, because it would be answered too late.
const QUEUE: usize = 10_000;

type Job = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Clone)]
pub(super) struct Readers {
    jobs: Sender<Job>,
    /// Where it is noted that the file is damaged.
    damage: Arc<OnceLock<Problem>>,
}

impl Readers {
    pub(super) fn open(
        path: &Path,
        name: &'static str,
        damage: &Arc<OnceLock<Problem>>,
    ) -> Result<Self, StorageError> {
        let (jobs, queue) = crossbeam_channel::bounded::<Job>(QUEUE);
        // More than there are cores would only wait for each other.
        let readers = thread::available_parallelism()
            .map_or(2, NonZero::get)
            .max(2);
        for _ in 0..readers {
            let connection = connect(path, true)?;
            let queue = queue.clone();
            thread::Builder::new()
                .name(format!("sqlite-{name}-read"))
                .spawn(move || work(&connection, &queue))
                .map_err(|error| StorageError::Unusable(error.to_string()))?;
        }
        Ok(Self {
            jobs,
            damage: Arc::clone(damage),
        })
    }

    pub(super) async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let damage = Arc::clone(&self.damage);
        let job = move |connection: &Connection| {
            // A caller that has gone away does not want to know.
            let _ = answer.send(snapshot(connection, &damage, job));
        };
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(StorageError::Unusable("too many reads are waiting".into()).into());
            }
            Err(TrySendError::Disconnected(_)) => return Err(StorageError::Gone.into()),
        }
        result
            .await
            .unwrap_or_else(|_| Err(StorageError::Gone.into()))
    }
}

fn work(connection: &Connection, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        // The caller of a job that panics learns that it is gone; the snapshot has ended
        // with it, and the next job finds the connection as it was.
        let _ = catch_unwind(AssertUnwindSafe(|| job(connection)));
    }
}

/// Runs `job` on one consistent snapshot, which ends, by rollback, when it is dropped. Notes if
/// it finds the file damaged.
fn snapshot<T, E, F>(connection: &Connection, damage: &OnceLock<Problem>, job: F) -> Result<T, E>
where
    F: FnOnce(&Connection) -> Result<T, E>,
    E: From<StorageError>,
{
    let _snapshot = connection
        .unchecked_transaction()
        .map_err(StorageError::from)?;
    let result = job(connection);
    if result.is_err() {
        let error = last_error(connection);
        if error.fault() == Some(FileFault::Damaged) {
            tracing::error!(%error, "database file is damaged");
            // Once is enough.
            let _ = damage.set(FileFault::Damaged.problem(&error));
        }
    }
    result
}
