//! Limits the number of concurrent answers, with a bounded queue.

use std::sync::Arc;

use slipway_runtime::telemetry::metrics::Counted;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics as m;

/// The limit and its queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    /// Permits for all answers, running and waiting.
    places: Arc<Semaphore>,
    /// Permits for running answers.
    writing: Arc<Semaphore>,
}

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct Place {
    writing: Arc<Semaphore>,
    waits: Counted,
    place: OwnedSemaphorePermit,
}

/// The right to run. Dropping it releases both permits.
#[derive(Debug)]
pub(crate) struct Turn {
    _writes: Counted,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Queue {
    /// A queue with this many running and this many waiting answers.
    pub(crate) fn new(writing: usize, waiting: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(writing + waiting)),
            writing: Arc::new(Semaphore::new(writing)),
        }
    }

    /// Enters the queue; `None` if it is full.
    pub(crate) fn enter(&self) -> Option<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() {
            metrics::counter!(m::REFUSED).increment(1);
        }
        Some(Place {
            writing: Arc::clone(&self.writing),
            waits: Counted::new(metrics::gauge!(m::QUEUED)),
            place: place?,
        })
    }
}

impl Place {
    /// Waits for its turn, in first-in, first-out order.
    pub(crate) async fn turn(self) -> Turn {
        let writing = self.writing.acquire_owned().await;
        let writing = writing.expect("the semaphore is never closed");
        drop(self.waits);
        Turn {
            _writes: Counted::new(metrics::gauge!(m::GENERATING)),
            _permits: [self.place, writing],
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_until_a_place_is_free() {
        let queue = Queue::new(1, 1);
        let first = queue.enter().unwrap().turn().await;
        let second = queue.enter().unwrap();
        assert!(queue.enter().is_none());
        let mut waits = Box::pin(second.turn());
        assert!(waits.as_mut().now_or_never().is_none());
        drop(first);
        let second = waits.await;
        let third = queue.enter().unwrap();
        assert!(queue.enter().is_none());
        drop(third);
        drop(second);
        queue.enter().unwrap().turn().await;
    }
}
