//! A queue of entries that wait for their clients, oldest first.
//!
//! A waiting entry uses resources for as long as its client likes. An honest client does not take
//! long, so when there is no room, the entry that has waited longest is revoked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Weak,
};

use parking_lot::Mutex;

use super::{Network, usage::Full};

/// Releases the resources of an entry, and ends what they were used for.
pub(super) trait Revoke {
    /// Called at most once.
    fn revoke(&self);
}

/// The waiting entries. Each leaves the queue when it is dropped.
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
    /// Adds an entry at the end; returns its number.
    pub(super) fn enter(&self, network: Network, one: Weak<T>) -> u64 {
        let mut waiting = self.0.lock();
        let id = waiting.next;
        waiting.next += 1;
        waiting.all.insert(id, (network, one));
        waiting.of.insert((network, id));
        id
    }

    /// Removes an entry. `false`: it was revoked before.
    pub(super) fn leave(&self, id: u64) -> bool {
        self.0.lock().remove(id).is_some()
    }

    /// Retries `take` until there is room. Before each retry it revokes the entry that has waited
    /// longest: one of this client if its share is full. It never revokes the entry with the number
    /// `own`. `false`: no entry is left to revoke.
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
            // An entry that is just being dropped releases its resources itself.
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
