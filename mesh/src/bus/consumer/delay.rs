//! A delay that grows.

use std::{ops::ControlFlow, time::Duration};

use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

const FIRST: Duration = Duration::from_millis(50);
/// Short: what is back is used again within about this time, and one try a second is no
/// load.
const LAST: Duration = Duration::from_secs(1);

/// A delay that grows until it is reset.
#[derive(Debug, Default)]
pub(crate) struct Delay {
    last: Option<Duration>,
}

impl Delay {
    pub(crate) fn reset(&mut self) {
        self.last = None;
    }

    /// Waits longer than the last time, with jitter; breaks when told to stop.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) -> ControlFlow<()> {
        let next = self.last.map_or(FIRST, |last| (last * 2).min(LAST));
        self.last = Some(next);
        let jittered = next.mul_f64(rand::rng().random_range(0.8..1.2));
        tokio::select! {
            () = stop.cancelled() => ControlFlow::Break(()),
            () = tokio::time::sleep(jittered) => ControlFlow::Continue(()),
        }
    }
}
