//! The threads that parse and render templates.
//!
//! Parsing calls itself, so it needs a stack that is known to suffice; and a template may
//! run for some time, so it must not hold up what is asynchronous.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    thread,
};

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Bytes of a thread's stack: what the deepest template takes, several times over.
const STACK: usize = 8 * 1024 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads that take jobs from one queue.
pub(super) struct Threads {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
}

impl Threads {
    /// Starts `count` threads, for which at most `places` jobs wait. They end when this is
    /// dropped.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub(super) fn start(name: &str, count: usize, places: usize) -> io::Result<Self> {
        let (jobs, queue) = crossbeam_channel::unbounded::<Job>();
        for _ in 0..count {
            let queue = queue.clone();
            thread::Builder::new()
                .name(name.to_owned())
                .stack_size(STACK)
                .spawn(move || work(&queue))?;
        }
        Ok(Self {
            jobs,
            places: Arc::new(Semaphore::new(count + places)),
        })
    }

    /// What `job` returns; waits for a place before it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let place = Arc::clone(&self.places).acquire_owned().await;
        self.run_at(place.expect("this semaphore is never closed"), job)
            .await
    }

    /// What `job` returns; nothing if too many wait.
    pub(super) async fn try_run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(self.run_at(place, job).await)
    }

    /// A panic of `job` becomes one of the caller.
    async fn run_at<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let (answer, result) = oneshot::channel();
        let job = move || {
            let result = catch_unwind(AssertUnwindSafe(job));
            drop(place);
            // A caller that has gone away does not want to know.
            let _ = answer.send(result);
        };
        self.jobs
            .send(Box::new(job))
            .expect("the threads end only when the sender, which is ours, is dropped");
        match result
            .await
            .expect("every job sends its result, or its panic")
        {
            Ok(result) => result,
            Err(panic) => resume_unwind(panic),
        }
    }
}

fn work(queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        job();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_callers_and_the_thread_goes_on() {
        let threads = Arc::new(Threads::start("test", 1, 1).unwrap());
        let panicking = tokio::spawn({
            let threads = Arc::clone(&threads);
            async move { threads.run(|| panic!("on purpose")).await }
        });
        assert!(panicking.await.unwrap_err().is_panic());
        assert_eq!(threads.run(|| 7).await, 7);
    }

    #[tokio::test]
    async fn no_more_than_so_many_wait() {
        let threads = Threads::start("test", 1, 1).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let held = threads.run(move || wait.recv().is_ok());
        let second = threads.run(|| true);
        let all = async {
            // Both have their place before the third asks: they were polled first.
            tokio::join!(held, second, async {
                let third = threads.try_run(|| true).await;
                go.send(()).unwrap();
                third
            })
        };
        let (held, second, third) = all.await;
        assert!(held && second);
        assert_eq!(third, None);
    }
}
