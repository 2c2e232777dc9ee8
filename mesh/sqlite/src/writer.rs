//! The writer thread: takes all waiting jobs, runs each in a savepoint of one transaction, commits
//! once, then answers them all. It also answers health checks, and at the end it copies everything
//! into the database file.

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

/// Maximum number of waiting jobs; further callers wait for a place in the queue.
const QUEUE: usize = 1024;

/// Maximum number of jobs that share one commit.
const BATCH: usize = 256;

#[derive(Clone)]
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
}

/// A message to the thread.
enum Order {
    Run(Box<dyn Job>),
    /// Answers whether the file is writable.
    Check(oneshot::Sender<Result<(), Problem>>),
    /// Copies everything into the database file, and ends.
    Close(oneshot::Sender<Result<(), StorageError>>),
}

/// A job with its type erased.
trait Job: Send {
    /// Runs the job; returns whether to keep its changes.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Answers the caller after the commit.
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
            // The job was not begun.
            (None, Err(error)) => Err(error.into()),
            // The job panicked.
            (None, Ok(())) => Err(StorageError::Gone.into()),
        };
        // If the caller no longer waits, the answer is dropped.
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

    /// Whether the file is writable, as far as is known or can be determined now.
    pub(super) async fn check(&self) -> Result<(), Problem> {
        let gone = || Problem::Away(StorageError::Gone.to_string());
        let (answer, result) = oneshot::channel();
        let sent = self.orders.send(Order::Check(answer)).await;
        sent.map_err(|_| gone())?;
        result.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Copies everything into the database file and ends the thread. Further calls have no effect.
    pub(super) async fn close(&self) -> Result<(), StorageError> {
        let (answer, result) = oneshot::channel();
        if self.orders.send(Order::Close(answer)).await.is_err() {
            return Ok(());
        }
        result.await.unwrap_or(Err(StorageError::Gone))
    }

    /// A weak reference to the writer.
    pub(super) fn downgrade(&self) -> WeakWriter {
        WeakWriter(self.orders.downgrade())
    }
}

/// A weak reference to a writer.
pub(super) struct WeakWriter(mpsc::WeakSender<Order>);

impl WeakWriter {
    /// The writer, if a handle still exists.
    pub(super) fn upgrade(&self) -> Option<Writer> {
        self.0.upgrade().map(|orders| Writer { orders })
    }

    /// Whether a handle still exists.
    pub(super) fn is_kept(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// The state of the thread.
struct Work {
    connection: Connection,
    wal: Wal,
    presence: Presence,
    name: &'static str,
    writability: Writability,
}

impl Work {
    fn run(mut self, mut queue: mpsc::Receiver<Order>) {
        self.set_gauge(true);
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
                    // If the caller no longer waits, the answer is dropped.
                    let _ = answer.send(known.clone());
                }
            }
            if let Some(answer) = close {
                // Waiting jobs are not run: their callers get an error.
                drop(queue);
                let _ = answer.send(self.wal.complete(&self.connection));
                return;
            }
        }
        // All handles are dropped.
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
            // The callers need not wait for this.
            self.wal.mark(&self.connection);
        }
    }

    fn failed(&mut self, error: &StorageError) {
        if self.writability.failed(error, Instant::now()) {
            tracing::error!(store = self.name, %error, "database cannot be written or is damaged");
            self.set_gauge(false);
        }
    }

    fn set_gauge(&self, writable: bool) {
        let value = if writable { 1.0 } else { 0.0 };
        metrics::gauge!(m::STORE_WRITABLE, "store" => self.name).set(value);
    }

    /// Whether the file is writable: by the known state, by whether it is still at its path, by a
    /// probe if one is due, and by whether a write transaction can be begun.
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
                self.set_gauge(true);
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

/// Runs `work` in a write transaction.
pub(super) fn transaction(
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

/// Rolls back what an error has left of a transaction; if that fails too, the next BEGIN reports
/// it.
fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
}

/// Runs the batch in one transaction; after an error nothing of it is stored. Returns the number of
/// the commit, if there was anything to store, and the jobs' error that is a fault of the file.
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
            // On a full disk and similar errors, SQLite rolls back the whole transaction itself:
            // then the whole batch has failed for this reason.
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
    // Changes that were rolled back count too: then there may be one number more than necessary.
    let changed = connection.total_changes() != before;
    let number = changed.then(|| wal.number(connection)).transpose()?;
    run("COMMIT")?;
    Ok(number)
}
