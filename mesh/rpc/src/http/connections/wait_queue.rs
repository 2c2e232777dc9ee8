//! Those who wait for their clients, in the order in which they began to wait.
//!
//! What waits for its client takes room from others for as long as the client likes. An
//! honest one does not take long, so where there is no room the one that has waited longest
//! makes some.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Weak,
};

use parking_lot::Mutex;

use super::{Network, usage::Full};

/// Gives back what it has taken, and ends what it was taken for.
pub(super) trait Revoke {
    /// Called once at most.
    fn revoke(&self);
}

/// Who waits. Each leaves when it is dropped.
#[derive(Debug)]
pub(super) struct WaitQueue<T>(Mutex<Waiting<T>>);

#[derive(Debug)]
struct Waiting<T> {
    next: u64,
    all: BTreeMap<u64, (Network, Weak<T>)>,
    of: BTreeSet<(Network, u64)>,
}

impl<T> Default for WaitQueue<T> {
    fn default() -> Self {
        Self(Mutex::new(Waiting {
            next: 0,
            all: BTreeMap::new(),
            of: BTreeSet::new(),
        }))
    }
}

impl<T: Revoke> WaitQueue<T> {
    /// Puts one at the end; what is returned is its number.
    pub(super) fn enter(&self, network: Network, one: Weak<T>) -> u64 {
        let mut waiting = self.0.lock();
        let id = waiting.next;
        waiting.next += 1;
        waiting.all.insert(id, (network, one));
        waiting.of.insert((network, id));
        id
    }

    /// It waits no more. `false`: it was revoked.
    pub(super) fn leave(&self, id: u64) -> bool {
        self.0.lock().remove(id).is_some()
    }

    /// Tries `take` until there is room, each time after the one that has waited longest was
    /// revoked: of this client if its share is full. Never the one with the number `own`.
    /// `false`: nobody is left that could make room.
    pub(super) fn insist(
        &self,
        network: Network,
        own: Option<u64>,
        mut take: impl FnMut() -> Result<(), Full>,
    ) -> bool {
        loop {
            let oldest = match take() {
                Ok(()) => return true,
                Err(Full::Share) => self.0.lock().remove_oldest_of(network, own),
                Err(Full::Whole) => self.0.lock().remove_oldest(own),
            };
            let Some(oldest) = oldest else {
                return false;
            };
            // What is being dropped gives back by itself.
            if let Some(oldest) = oldest.upgrade() {
                oldest.revoke();
            }
        }
    }

    /// Revokes all.
    pub(super) fn revoke_all(&self) {
        loop {
            let Some(oldest) = self.0.lock().remove_oldest(None) else {
                return;
            };
            if let Some(oldest) = oldest.upgrade() {
                oldest.revoke();
            }
        }
    }
}

impl<T> Waiting<T> {
    fn remove(&mut self, id: u64) -> Option<Weak<T>> {
        let (network, one) = self.all.remove(&id)?;
        self.of.remove(&(network, id));
        Some(one)
    }

    fn remove_oldest(&mut self, own: Option<u64>) -> Option<Weak<T>> {
        let id = *self.all.keys().find(|id| Some(**id) != own)?;
        self.remove(id)
    }

    fn remove_oldest_of(&mut self, network: Network, own: Option<u64>) -> Option<Weak<T>> {
        let mut ids = self.of.range((network, 0)..=(network, u64::MAX));
        let (_, id) = *ids.find(|(_, id)| Some(*id) != own)?;
        self.remove(id)
    }
}
