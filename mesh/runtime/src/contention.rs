//! Retries after optimistic concurrency conflicts.
//!
//! A change is stored only if its aggregate still has the revision on which it was based. If not,
//! it is decided again on the current revision. In each round of competing writers one of them
//! succeeds.

use std::time::Duration;

use rand::RngExt as _;

/// Maximum attempts; about as many writers can compete for one aggregate.
pub const MAX_ATTEMPTS: u32 = 200;

/// Waits a random time of up to 16 ms, longer with each attempt, so that competing writers spread
/// out.
pub async fn back_off(attempt: u32) {
    let bound = (1_u64 << attempt.min(5)) * 500;
    let wait = rand::rng().random_range(0..bound);
    tokio::time::sleep(Duration::from_micros(wait)).await;
}
