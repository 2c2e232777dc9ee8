//! Waiting between attempts, longer each time.

use std::{ops::ControlFlow, time::Duration};

use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

const FIRST: Duration = Duration::from_millis(50);
/// Short: what is back is used again within about this time, and one try a second is no
/// load.
const LAST: Duration = Duration::from_secs(1);

/// A wait that grows, with jitter, until it is reset.
#[derive(Debug, Default)]
pub struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The next wait is the first one again.
    pub fn reset(&mut self) {
        self.last = None;
    }

    /// Waits longer than the last time, with jitter; breaks when told to stop.
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
