//! The writer thread: takes all jobs that wait, runs each in a savepoint of one
//! transaction, commits once, then answers them all. In between it says whether the file takes
//! writes, and at the end it leaves everything in the database file.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    StorageError,
    commits::Commits,
    error::last_error,
    identity::Presence,
    wal::Wal,
    writability::{Writability, probe},
};
use crate::metrics as m;
use slipway_runtime::life::Problem;

/// Jobs that may wait; a caller of more waits for a place.
const QUEUE: usize = 1024;

/// Jobs that share one commit at most.
const BATCH: usize = 256;

#[derive(Clone)]
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
}

/// What the thread is asked to do.
enum Order {
    Run(Box<dyn Job>),
    /// To say whether the file takes writes.
    Check(oneshot::Sender<Result<(), Problem>>),
    /// To leave everything in the database file, and end.
    Close(oneshot::Sender<Result<(), StorageError>>),
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
            // It was not begun.
            (None, Err(error)) => Err(error.into()),
            // It panicked.
            (None, Ok(())) => Err(StorageError::Gone.into()),
        };
        // A caller that has gone away does not want to know.
        let _ = self.answer.send(result);
    }
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        wal: Wal,
        presence: Presence,
        name: &'static str,
    ) -> Result<Self, StorageError> {
        let (orders, queue) = mpsc::channel(QUEUE);
        let work = Work {
            connection,
            wal,
            presence,
            name,
            writability: Writability::new(Instant::now()),
        };
        thread::Builder::new()
            .name(format!("sqlite-{name}"))
            .spawn(move || work.run(queue))
            .map_err(|error| StorageError::Unusable(error.to_string()))?;
        Ok(Self { orders })
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
        if self
            .orders
            .send(Order::Run(Box::new(pending)))
            .await
            .is_err()
        {
            return Err(StorageError::Gone.into());
        }
        result
            .await
            .unwrap_or_else(|_| Err(StorageError::Gone.into()))
    }

    /// Whether the file takes writes, as far as is known or can be found out now.
    pub(super) async fn check(&self) -> Result<(), Problem> {
        let gone = || Problem::Away(StorageError::Gone.to_string());
        let (answer, result) = oneshot::channel();
        let sent = self.orders.send(Order::Check(answer)).await;
        sent.map_err(|_| gone())?;
        result.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Leaves everything in the database file and ends the thread. Once is enough.
    pub(super) async fn close(&self) -> Result<(), StorageError> {
        let (answer, result) = oneshot::channel();
        if self.orders.send(Order::Close(answer)).await.is_err() {
            return Ok(());
        }
        result.await.unwrap_or(Err(StorageError::Gone))
    }

    /// The same writer, without keeping it.
    pub(super) fn downgrade(&self) -> WeakWriter {
        WeakWriter(self.orders.downgrade())
    }
}

/// A writer that others keep.
pub(super) struct WeakWriter(mpsc::WeakSender<Order>);

impl WeakWriter {
    /// The writer, as long as somebody keeps it.
    pub(super) fn upgrade(&self) -> Option<Writer> {
        self.0.upgrade().map(|orders| Writer { orders })
    }

    /// Whether somebody keeps it.
    pub(super) fn is_kept(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// The thread.
struct Work {
    connection: Connection,
    wal: Wal,
    presence: Presence,
    name: &'static str,
    writability: Writability,
}

impl Work {
    fn run(mut self, mut queue: mpsc::Receiver<Order>) {
        self.tell(true);
        while let Some(first) = queue.blocking_recv() {
            let (mut batch, mut checks, mut close) = (Vec::new(), Vec::new(), None);
            let mut next = Some(first);
            while let Some(order) = next {
                match order {
                    Order::Run(job) => batch.push(job),
                    Order::Check(answer) => checks.push(answer),
                    Order::Close(answer) => close = Some(answer),
                }
                let goes_on = batch.len() < BATCH && close.is_none();
                next = goes_on.then(|| queue.try_recv().ok()).flatten();
            }
            if !batch.is_empty() {
                self.write(batch);
            }
            if !checks.is_empty() {
                let known = self.check();
                for answer in checks {
                    // A caller that has gone away does not want to know.
                    let _ = answer.send(known.clone());
                }
            }
            if let Some(answer) = close {
                // What waits behind it is not done: its callers learn that the writer is gone.
                drop(queue);
                let _ = answer.send(self.wal.complete(&self.connection));
                return;
            }
        }
        // Nobody has the database any more.
        if let Err(error) = self.wal.complete(&self.connection) {
            tracing::debug!(store = self.name, %error, "database still needs its -wal file");
        }
    }

    fn write(&mut self, mut batch: Vec<Box<dyn Job>>) {
        metrics::histogram!(m::STORE_BATCH, "store" => self.name).record(batch.len() as f64);
        let started = Instant::now();
        let (commit, failures) = match self.presence.check() {
            Ok(()) => commit(&self.connection, &self.wal, &mut batch),
            Err(error) => (Err(error), Vec::new()),
        };
        metrics::histogram!(m::STORE_COMMIT_SECONDS, "store" => self.name)
            .record(started.elapsed());
        for error in failures.iter().chain(commit.as_ref().err()) {
            self.failed(error);
        }
        let written = matches!(commit, Ok(Some(_)));
        if let Ok(Some(number)) = commit {
            self.wal.committed(number);
        }
        let commit = commit.map(drop);
        for job in batch {
            job.finish(commit.clone());
        }
        if written {
            self.writability.wrote(Instant::now());
            // The callers need not wait for that.
            self.wal.mark(&self.connection);
        }
    }

    fn failed(&mut self, error: &StorageError) {
        if self.writability.failed(error, Instant::now()) {
            tracing::error!(store = self.name, %error, "database cannot be written or is damaged");
            self.tell(false);
        }
    }

    fn tell(&self, writable: bool) {
        let value = if writable { 1.0 } else { 0.0 };
        metrics::gauge!(m::STORE_WRITABLE, "store" => self.name).set(value);
    }

    /// Whether the file takes writes: by what is known, by whether it is still there, by a probe
    /// if one is due, and by whether a transaction for writing can be begun at all.
    fn check(&mut self) -> Result<(), Problem> {
        let due = self.writability.due(Instant::now());
        let probed = self.presence.check().and_then(|()| {
            transaction(&self.connection, |connection| match due {
                None => Ok(()),
                Some(bytes) => probe(connection, bytes),
            })
        });
        match &probed {
            Err(error) => self.failed(error),
            Ok(()) if due.is_some() && self.writability.probed(Instant::now()) => {
                tracing::info!(store = self.name, "database can be written again");
                self.tell(true);
            }
            Ok(()) => {}
        }
        if let Some(problem) = self.writability.problem() {
            return Err(problem);
        }
        probed.map_err(|error| match error.fault() {
            Some(fault) => fault.problem(&error),
            None => Problem::Away(error.to_string()),
        })
    }
}

/// Runs `work` in a transaction for writing.
fn transaction(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let run = || -> Result<(), StorageError> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        work(connection)?;
        Ok(connection.execute_batch("COMMIT")?)
    };
    let result = run();
    roll_back(connection);
    result
}

/// Ends what an error has left of a transaction; if that fails too, the next BEGIN says so.
fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
}

/// Runs the batch in one transaction; on an error nothing of it is stored. Returns the number of
/// the commit, if anything was to be stored, and what jobs failed of that is the file's fault.
fn commit(
    connection: &Connection,
    wal: &Wal,
    batch: &mut [Box<dyn Job>],
) -> (Result<Option<Commits>, StorageError>, Vec<StorageError>) {
    let mut failures = Vec::new();
    let result = run_all(connection, wal, batch, &mut failures);
    roll_back(connection);
    (result, failures)
}

fn run_all(
    connection: &Connection,
    wal: &Wal,
    batch: &mut [Box<dyn Job>],
    failures: &mut Vec<StorageError>,
) -> Result<Option<Commits>, StorageError> {
    let run = |sql| -> Result<(), StorageError> {
        connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    };
    let before = connection.total_changes();
    run("BEGIN IMMEDIATE")?;
    for job in batch {
        run("SAVEPOINT job")?;
        if !job.run(connection) {
            let error = last_error(connection);
            // A full disk and its like make SQLite roll back everything by itself: then the
            // whole batch has failed, and for this reason.
            if connection.is_autocommit() {
                return Err(error);
            }
            if error.fault().is_some() {
                failures.push(error);
            }
            run("ROLLBACK TO job")?;
        }
        run("RELEASE job")?;
    }
    // What was undone has counted too: then there is a number more than needed.
    let changed = connection.total_changes() != before;
    let number = changed.then(|| wal.number(connection)).transpose()?;
    run("COMMIT")?;
    Ok(number)
}
