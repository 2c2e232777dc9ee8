//! Whether a database takes writes, for health checks. A server may answer a ping and refuse
//! every write: its disk is full, it is no longer primary, its replicas do not follow.
//!
//! That writes are refused is known from whoever writes. That they are taken again, and that
//! they are not when nobody writes, is found out by writing one small document.
//!
//! As with outages an operation does not say which database it is of: what is refused makes
//! every database of the process look.

use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{StorageError, bounded};
use slipway_runtime::life::Problem;

/// The collection of the document that means nothing.
const COLLECTION: &str = "write_probe";

/// While writes are taken, one is tried so often.
const IDLE: Duration = Duration::from_secs(60);

/// While they are not, one is tried so often.
const RETRY: Duration = Duration::from_secs(1);

/// When a write was last refused.
static REFUSED_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// Takes note of what an operation failed of.
pub(super) fn note(error: &StorageError) {
    if error.refuses_writes() {
        *REFUSED_AT.lock() = Some(Instant::now());
    }
}

/// What is known of a database. Pure: time comes in.
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

    /// Whether to try a write now; `refused_at` is when one was last refused.
    fn is_due(&self, refused_at: Option<Instant>, now: Instant) -> bool {
        let since = now.duration_since(self.known_at);
        let news = refused_at.is_some_and(|at| at > self.known_at);
        match self.problem {
            Some(_) => since >= RETRY,
            None => news || since >= IDLE,
        }
    }

    /// What a probe has shown.
    fn probed(&mut self, result: Result<(), StorageError>, now: Instant) {
        self.known_at = now;
        self.problem = result.err().map(|error| match error {
            StorageError::Away | StorageError::Silent => Problem::Away(error.to_string()),
            error => Problem::Unwritable(format!("it takes no writes: {error}")),
        });
    }

    /// Whether the database takes writes, as far as is known or can be found out now.
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
        // Another process wrote it at the same moment.
        Err(error) if error.duplicate_key().is_some() || error.gave_way() => Ok(()),
        // This user may write to other collections only: that proves nothing about those.
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
    fn a_refused_write_makes_it_look_at_once_and_then_every_second() {
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
    fn a_server_that_is_away_is_away() {
        let start = Instant::now();
        let mut known = Writability::new(start);
        known.probed(Err(StorageError::Silent), start);
        assert!(matches!(known.problem, Some(Problem::Away(_))));
    }
}
