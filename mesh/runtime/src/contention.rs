//! Retries after optimistic concurrency conflicts.
//!
//! A change is stored only if its aggregate still has the revision on which it was based. If not,
//! it is decided again on the current revision. In each round of competing writers one of them
//! succeeds.

use std::{array, time::Duration};

use rand::RngExt as _;
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// Maximum attempts; about as many writers can compete for one aggregate.
pub const MAX_ATTEMPTS: u32 = 200;

/// Lets the writers of one process that have lost a race take turns, so that only writers of
/// different processes compete for an aggregate after that. With 50 writers at once, each would
/// otherwise be decided about 25 times.
#[derive(Debug)]
pub struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Self {
        Self(array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    /// Waits for the turn of a writer of this aggregate, which ends when the guard is dropped.
    pub async fn wait(&self, aggregate: Uuid) -> MutexGuard<'_, ()> {
        // The last bits of a UUIDv7 are random.
        let place = aggregate.as_u128() % self.0.len() as u128;
        self.0[place as usize].lock().await
    }
}

/// Waits a random time of up to 16 ms, longer with each attempt, so that competing writers spread
/// out.
pub async fn back_off(attempt: u32) {
    let bound = (1_u64 << attempt.min(5)) * 500;
    let wait = rand::rng().random_range(0..bound);
    tokio::time::sleep(Duration::from_micros(wait)).await;
}
