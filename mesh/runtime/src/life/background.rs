//! Background jobs of a process.

use std::{fmt::Display, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Background jobs: publishers, consumers, cleanup.
#[derive(Debug, Clone, Default)]
pub struct Background {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Background {
    /// Runs the job that `work` creates, until it ends. The job receives the token that tells it to
    /// stop. If it panics, this is logged and it is started again after a second.
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
                    "background job panicked; restarting it"
                );
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        });
    }

    /// Runs the job that `work` creates, and again each time after `pause`, until shutdown: then it
    /// is dropped at its next await point. A failure is logged, and the next run tries again.
    pub fn repeat<F, Fut, E>(&self, name: &'static str, pause: Duration, work: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Display + Send,
    {
        let work = Arc::new(work);
        self.spawn(name, move |stop| {
            let work = Arc::clone(&work);
            let forever = async move {
                loop {
                    if let Err(error) = work().await {
                        tracing::warn!(work = name, %error, "background job failed; trying again later");
                    }
                    tokio::time::sleep(pause).await;
                }
            };
            async move { stop.run_until_cancelled(forever).await.unwrap_or(()) }
        });
    }

    /// Tells all jobs to stop and waits at most `limit` for them.
    pub async fn stop(&self, limit: Duration) {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait())
            .await
            .is_err()
        {
            tracing::warn!("background jobs did not stop in time");
        }
    }
}

/// The text of a panic.
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
    async fn a_job_that_panics_is_restarted_and_stops_on_shutdown() {
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

    #[tokio::test(start_paused = true)]
    async fn a_job_that_fails_is_repeated_after_a_pause_and_dropped_on_shutdown() {
        let background = Background::default();
        let (runs, mut seen) = tokio::sync::watch::channel(0);
        let begun = tokio::time::Instant::now();
        background.repeat("test", Duration::from_secs(60), move || {
            runs.send_modify(|count| *count += 1);
            let run = *runs.borrow();
            async move {
                if run == 3 {
                    std::future::pending::<()>().await;
                }
                Err("it fails")
            }
        });
        seen.wait_for(|count| *count == 3).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(120));
        background.stop(Duration::from_secs(1)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(120));
    }
}
