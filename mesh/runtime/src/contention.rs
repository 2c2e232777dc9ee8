//! Trying again when others were faster.
//!
//! A change is stored only if its aggregate still has the revision it was decided on. If
//! not, it is decided anew on what is there now; each round of competitors has a winner.

use std::time::Duration;

use rand::RngExt as _;

/// Tries before giving up: about as many competitors are borne.
pub const MAX_ATTEMPTS: u32 = 200;

/// Waits a random moment of up to 16 ms, longer with each attempt, so that competitors
/// spread out.
pub async fn back_off(attempt: u32) {
    let bound = (1_u64 << attempt.min(5)) * 500;
    let wait = rand::rng().random_range(0..bound);
    tokio::time::sleep(Duration::from_micros(wait)).await;
}
