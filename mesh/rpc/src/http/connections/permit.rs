//! The permit of a request: first to wait for its body, then to be processed.
//!
//! A client may begin many requests and never finish their bodies. So a request that waits for its
//! body does not use up the limit on requests being processed, and the one that has waited longest
//! is refused when others need room.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    Client, Overloaded, Shared, Use,
    usage::{Resource, Usage},
    wait_queue::Revoke,
};

/// The permit of a request. It is released with the last clone.
#[derive(Debug, Clone)]
pub(in crate::http) struct Permit(Arc<Held>);

#[derive(Debug)]
pub(super) struct Held {
    shared: Arc<Shared>,
    client: Arc<Client>,
    /// Its number in the queue of requests that wait for their bodies.
    waits_as: OnceLock<u64>,
    /// `None` if it was revoked.
    taken: Mutex<Option<Amounts>>,
    lost: CancellationToken,
}

#[derive(Debug)]
struct Amounts {
    /// One request, either waiting or being processed.
    permit: Usage,
    bytes: Usage,
}

impl Use {
    /// Takes a permit for a request. `is_whole`: its body is complete.
    ///
    /// # Errors
    /// If the limit is reached.
    pub(in crate::http) fn permit(&self, is_whole: bool) -> Result<Permit, Overloaded> {
        let (shared, client) = (&self.shared, &self.slot.client);
        let permit = match is_whole {
            true => work(shared, client)?,
            false => {
                let mut permit = Usage::nothing(shared, client, Resource::Arriving);
                let take = || permit.grow(1);
                match shared.arriving.insist(client.network, None, take) {
                    true => permit,
                    false => return Err(Overloaded),
                }
            }
        };
        let bytes = Usage::nothing(shared, client, Resource::BodyBytes);
        let held = Arc::new(Held {
            shared: Arc::clone(shared),
            client: Arc::clone(client),
            waits_as: OnceLock::new(),
            taken: Mutex::new(Some(Amounts { permit, bytes })),
            lost: CancellationToken::new(),
        });
        if !is_whole {
            let waits = shared.arriving.enter(client.network, Arc::downgrade(&held));
            // The cell was created above, so it is empty.
            let _ = held.waits_as.set(waits);
        }
        Ok(Permit(held))
    }
}

/// Takes a place among the requests being processed.
fn work(shared: &Arc<Shared>, client: &Arc<Client>) -> Result<Usage, Overloaded> {
    let mut permit = Usage::nothing(shared, client, Resource::Requests);
    permit.grow(1).map_err(|_| Overloaded)?;
    Ok(permit)
}

impl Permit {
    /// Completes when the permit is lost: revoked because others need the room, or because the
    /// limit was reached when the body was complete.
    pub(in crate::http) fn lost(&self) -> WaitForCancellationFutureOwned {
        self.0.lost.clone().cancelled_owned()
    }

    /// Whether the permit is lost.
    pub(in crate::http) fn is_lost(&self) -> bool {
        self.0.lost.is_cancelled()
    }

    /// Counts more bytes of the body.
    ///
    /// # Errors
    /// If there is no room for them.
    pub(in crate::http) fn grow(&self, bytes: usize) -> Result<(), Overloaded> {
        let held = &self.0;
        let mut is_lost = false;
        let take = || match &mut *held.taken.lock() {
            Some(taken) => taken.bytes.grow(bytes),
            None => {
                is_lost = true;
                Ok(())
            }
        };
        let own = held.waits_as.get().copied();
        let line = &held.shared.arriving;
        let fits = line.insist(held.client.network, own, take);
        if fits && !is_lost {
            return Ok(());
        }
        held.revoke();
        Err(Overloaded)
    }

    /// Notes that the body is complete: from now on the request is being processed.
    ///
    /// # Errors
    /// If the limit on requests being processed is reached.
    pub(in crate::http) fn is_whole(&self) -> Result<(), Overloaded> {
        let held = &self.0;
        let waited = held.waits_as.get();
        if waited.is_some_and(|waits| !held.shared.arriving.leave(*waits)) {
            return Err(Overloaded);
        }
        let worked_on = work(&held.shared, &held.client).map(|permit| {
            if let Some(taken) = &mut *held.taken.lock() {
                taken.permit = permit;
            }
        });
        if worked_on.is_err() {
            held.revoke();
        }
        worked_on
    }
}

impl Revoke for Held {
    fn revoke(&self) {
        drop(self.taken.lock().take());
        self.lost.cancel();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(waits) = self.waits_as.get() {
            self.shared.arriving.leave(*waits);
        }
    }
}
