//! Backoff: waits between attempts, longer each time.

use std::{ops::ControlFlow, time::Duration};

use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

const FIRST: Duration = Duration::from_millis(50);
/// Short, so that a dependency that is available again is used within about this time; one attempt
/// per second is no load.
const LAST: Duration = Duration::from_secs(1);

/// A delay with jitter that grows until it is reset.
#[derive(Debug, Default)]
pub struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// Starts again with the first delay.
    pub fn reset(&mut self) {
        self.last = None;
    }

    /// Waits longer than the last time, with jitter; breaks on shutdown.
    pub async fn wait(&mut self, stop: &CancellationToken) -> ControlFlow<()> {
        let next = self.last.map_or(FIRST, |last| (last * 2).min(LAST));
        self.last = Some(next);
        let jittered = next.mul_f64(rand::rng().random_range(0.8..1.2));
        tokio::select! {
            () = stop.cancelled() => ControlFlow::Break(()),
            () = tokio::time::sleep(jittered) => ControlFlow::Continue(()),
        }
    }
}
