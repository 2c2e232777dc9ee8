//! Waiting in tests for what cannot be waited for otherwise. Whoever can await a
//! notification does that.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// What has not happened by then never will.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// Far below what a person notices, far above what looking costs.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks again and again until it succeeds; returns what it found. `look` fails with what
/// it saw instead.
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
