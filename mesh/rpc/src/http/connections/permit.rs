//! The place of a request: among those that wait for their bodies, then among those that are
//! worked on.
//!
//! A client may begin many requests and never end their bodies. So a request that waits for
//! its body takes no place of those that are worked on, and makes room for others when it has
//! waited longest.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    Client, Overloaded, Shared, Use,
    usage::{Resource, Usage},
    wait_queue::Revoke,
};

/// The place of a request. It is given back with the last clone.
#[derive(Debug, Clone)]
pub(in crate::http) struct Permit(Arc<Held>);

#[derive(Debug)]
pub(super) struct Held {
    shared: Arc<Shared>,
    client: Arc<Client>,
    /// Its number among those that wait for their bodies.
    waits_as: OnceLock<u64>,
    /// `None`: it is lost.
    taken: Mutex<Option<Amounts>>,
    lost: CancellationToken,
}

#[derive(Debug)]
struct Amounts {
    /// One, among those that wait or those that are worked on.
    permit: Usage,
    bytes: Usage,
}

impl Use {
    /// The place of a request. `is_whole`: its body has come.
    ///
    /// # Errors
    /// If there is none.
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
            // It was made above: nobody has set it.
            let _ = held.waits_as.set(waits);
        }
        Ok(Permit(held))
    }
}

/// A place among those that are worked on.
fn work(shared: &Arc<Shared>, client: &Arc<Client>) -> Result<Usage, Overloaded> {
    let mut permit = Usage::nothing(shared, client, Resource::Requests);
    permit.grow(1).map_err(|_| Overloaded)?;
    Ok(permit)
}

impl Permit {
    /// Returns when it is lost: to others that need it, or because there was none when the
    /// body had come.
    pub(in crate::http) fn lost(&self) -> WaitForCancellationFutureOwned {
        self.0.lost.clone().cancelled_owned()
    }

    /// Whether it is lost.
    pub(in crate::http) fn is_lost(&self) -> bool {
        self.0.lost.is_cancelled()
    }

    /// More of the body has come.
    ///
    /// # Errors
    /// If there is no room for it.
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

    /// The body has come whole: from now on the request is worked on.
    ///
    /// # Errors
    /// If there is no place for that.
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
