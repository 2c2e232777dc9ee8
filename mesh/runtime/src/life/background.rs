//! Work that goes on beside the requests.

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Work that goes on beside the requests: publishers, consumers, sweepers.
#[derive(Debug, Clone, Default)]
pub struct Background {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Background {
    /// Runs what `work` makes, until it ends. It is handed the token that tells it to
    /// stop. Work that panics is logged and begun again after a second.
    pub fn spawn<F, Fut>(&self, name: &'static str, work: F)
    where
        F: Fn(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            while let Err(panic) = AssertUnwindSafe(work(stop.clone())).catch_unwind().await {
                tracing::error!(
                    work = name,
                    panic = panic_text(&*panic),
                    "background work panicked and is begun again"
                );
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        });
    }

    /// Tells all work to stop and waits for it, at most `limit`.
    pub async fn stop(&self, limit: Duration) {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait())
            .await
            .is_err()
        {
            tracing::warn!("background work did not stop in time");
        }
    }
}

/// What a panic said.
#[must_use]
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_panics_is_begun_again_and_stops_when_told() {
        let background = Background::default();
        let (runs, mut seen) = tokio::sync::watch::channel(0);
        background.spawn("test", move |stop| {
            runs.send_modify(|count| *count += 1);
            let first = *runs.borrow() == 1;
            async move {
                assert!(!first, "the first run fails");
                stop.cancelled().await;
            }
        });
        seen.wait_for(|count| *count == 2).await.unwrap();
        background.stop(Duration::from_secs(1)).await;
    }
}
