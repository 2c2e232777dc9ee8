//! Polling in tests, for conditions without a notification. If there is a notification, await that
//! instead.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Timeout: long enough for everything that is expected to happen.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// Polling interval: too short for a person to notice, long compared to the cost of a check.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Calls `look` repeatedly until it succeeds; returns its result. `look` fails with what it found
/// instead.
///
/// # Errors
/// The last failure, after [`TIMEOUT`].
pub async fn until<T, E>(mut look: impl AsyncFnMut() -> Result<T, E>) -> Result<T, E> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let looked = look().await;
        if looked.is_ok() || Instant::now() >= deadline {
            return looked;
        }
        sleep(LOOK_EVERY).await;
    }
}
