//! The writer thread: takes all jobs that wait, runs each in a savepoint of one
//! transaction, commits once, then answers them all.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::StorageError;
use crate::telemetry::metrics as m;

/// Jobs that may wait; a caller of more waits for a place.
const QUEUE: usize = 1024;

/// Jobs that share one commit at most.
const BATCH: usize = 256;

#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
}

/// A job, typed inside and uniform outside.
trait Job: Send {
    /// Runs it; whether its changes are to be kept.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Answers the caller, the outcome of the commit being known.
    fn finish(self: Box<Self>, commit: Result<(), StorageError>);
}

struct Pending<F, T, E> {
    job: Option<F>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Pending<F, T, E>
where
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    T: Send,
    E: From<StorageError> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let Some(job) = self.job.take() else {
            return false;
        };
        self.result = catch_unwind(AssertUnwindSafe(|| job(connection))).ok();
        matches!(self.result, Some(Ok(_)))
    }

    fn finish(self: Box<Self>, commit: Result<(), StorageError>) {
        let result = match (self.result, commit) {
            (Some(Ok(_)), Err(error)) => Err(error.into()),
            (Some(result), _) => result,
            (None, _) => Err(StorageError::Gone.into()),
        };
        // A caller that has gone away does not want to know.
        let _ = self.answer.send(result);
    }
}

impl Writer {
    pub(super) fn start(connection: Connection, name: &'static str) -> Result<Self, StorageError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name(format!("sqlite-{name}"))
            .spawn(move || work(&connection, queue, name))
            .map_err(|error| StorageError::Unusable(error.to_string()))?;
        Ok(Self { jobs })
    }

    pub(super) async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let pending = Pending {
            job: Some(job),
            result: None,
            answer,
        };
        if self.jobs.send(Box::new(pending)).await.is_err() {
            return Err(StorageError::Gone.into());
        }
        result
            .await
            .unwrap_or_else(|_| Err(StorageError::Gone.into()))
    }
}

fn work(connection: &Connection, mut queue: mpsc::Receiver<Box<dyn Job>>, name: &'static str) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job);
        }
        metrics::histogram!(m::STORE_BATCH, "store" => name).record(batch.len() as f64);
        let started = Instant::now();
        let commit = commit(connection, &mut batch);
        metrics::histogram!(m::STORE_COMMIT_SECONDS, "store" => name).record(started.elapsed());
        for job in batch {
            job.finish(commit.clone());
        }
    }
}

/// Runs the batch in one transaction; on an error nothing of it is stored.
fn commit(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), StorageError> {
    let result = run_all(connection, batch);
    if !connection.is_autocommit() {
        // Only after an error; if it fails too, the next BEGIN says so.
        let _ = connection.execute_batch("ROLLBACK");
    }
    result
}

fn run_all(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), StorageError> {
    let run = |sql| -> Result<(), StorageError> {
        connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    };
    run("BEGIN IMMEDIATE")?;
    for job in batch {
        run("SAVEPOINT job")?;
        if !job.run(connection) {
            // A full disk and its like make SQLite roll back everything by itself; then
            // this fails, and with it the whole batch.
            run("ROLLBACK TO job")?;
        }
        run("RELEASE job")?;
    }
    run("COMMIT")
}
