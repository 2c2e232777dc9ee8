//! Determines whether a database is writable, for health checks. A server may answer a ping and
//! still refuse every write: its disk is full, it is no longer primary, or its replicas are too far
//! behind.
//!
//! A refused write shows that the server accepts no writes. Whether it accepts them again, and
//! whether it has stopped accepting them while nothing is written, is determined by writing a small
//! document.
//!
//! An operation does not know its database, as with outages: a refused write makes every database
//! of the process check again.

use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{StorageError, bounded};
use slipway_runtime::life::Problem;

/// The collection of the probe document.
const COLLECTION: &str = "write_probe";

/// Interval between probes while writes are accepted.
const IDLE: Duration = Duration::from_secs(60);

/// Interval between probes while they are refused.
const RETRY: Duration = Duration::from_secs(1);

/// When a write was last refused.
static REFUSED_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// Records the error of an operation.
pub(super) fn note(error: &StorageError) {
    if error.refuses_writes() {
        *REFUSED_AT.lock() = Some(Instant::now());
    }
}

/// The known state of a database. Pure: the caller passes the time.
#[derive(Debug)]
pub(super) struct Writability {
    problem: Option<Problem>,
    known_at: Instant,
}

impl Writability {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            problem: None,
            known_at: now,
        }
    }

    /// Whether to write a probe now; `refused_at` is when a write was last refused.
    fn is_due(&self, refused_at: Option<Instant>, now: Instant) -> bool {
        let since = now.duration_since(self.known_at);
        let newly_refused = refused_at.is_some_and(|at| at > self.known_at);
        match self.problem {
            Some(_) => since >= RETRY,
            None => newly_refused || since >= IDLE,
        }
    }

    /// Records the result of a probe.
    fn probed(&mut self, result: Result<(), StorageError>, now: Instant) {
        self.known_at = now;
        self.problem = result.err().map(|error| match error {
            StorageError::Away | StorageError::Silent => Problem::Away(error.to_string()),
            error => Problem::Unwritable(format!("it takes no writes: {error}")),
        });
    }

    /// Whether the database is writable, as far as is known or can be determined now.
    pub(super) async fn check(&mut self, database: &mongodb::Database) -> Result<(), Problem> {
        let refused_at = *REFUSED_AT.lock();
        if self.is_due(refused_at, Instant::now()) {
            let begun = Instant::now();
            let result = probe(database).await;
            self.probed(result, begun);
        }
        self.problem.clone().map_or(Ok(()), Err)
    }
}

async fn probe(database: &mongodb::Database) -> Result<(), StorageError> {
    let probes = database.collection::<Document>(COLLECTION);
    let update = doc! { "$set": { "at": DateTime::now() } };
    let write = probes.update_one(doc! { "_id": 1 }, update).upsert(true);
    match bounded(write.into_future()).await {
        // Another process wrote it at the same time.
        Err(error) if error.duplicate_key().is_some() || error.gave_way() => Ok(()),
        // This user may not write to this collection; that says nothing about the others.
        Err(error) if error.is_refusal() => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn after_a_refused_write_it_probes_at_once_and_then_every_second() {
        let start = Instant::now();
        let mut known = Writability::new(start);
        assert!(!known.is_due(None, start + IDLE - MOMENT));
        assert!(known.is_due(None, start + IDLE));
        let refused = Some(start + MOMENT);
        assert!(known.is_due(refused, start + MOMENT));
        let full = StorageError::Unusable("full".into());
        known.probed(Err(full), start + MOMENT);
        assert!(matches!(known.problem, Some(Problem::Unwritable(_))));
        assert!(!known.is_due(refused, start + RETRY));
        assert!(known.is_due(refused, start + MOMENT + RETRY));
        known.probed(Ok(()), start + MOMENT + RETRY);
        assert_eq!(known.problem, None);
        assert!(!known.is_due(refused, start + MOMENT + RETRY + RETRY));
    }

    #[test]
    fn an_unavailable_server_is_reported_as_unavailable() {
        let start = Instant::now();
        let mut known = Writability::new(start);
        known.probed(Err(StorageError::Silent), start);
        assert!(matches!(known.problem, Some(Problem::Away(_))));
    }
}
