//! Complete answers that the client has not read yet.
//!
//! A client may request much and read nothing. So when there is no room for another answer, the
//! connection of the one that has been unread longest is closed.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::{
    Overloaded, Shared, Slot, Use,
    usage::{Resource, Usage},
    wait_queue::Revoke,
};
use crate::metrics as m;

/// A complete answer: its bytes count until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct Unread {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    /// Its number in the queue of unread answers.
    waits_as: OnceLock<u64>,
    /// `None` if it was revoked to make room for others.
    taken: Mutex<Option<Usage>>,
}

impl Use {
    /// Counts the bytes of a complete answer.
    ///
    /// # Errors
    /// If there is no room for them.
    pub(in crate::http) fn answer(&self, bytes: usize) -> Result<Arc<Unread>, Overloaded> {
        let (shared, slot) = (&self.shared, &self.slot);
        let (client, line) = (&slot.client, &shared.unread);
        let mut taken = Usage::nothing(shared, client, Resource::AnswerBytes);
        if !line.insist(client.network, None, || taken.grow(bytes)) {
            return Err(Overloaded);
        }
        let unread = Arc::new(Unread {
            shared: Arc::clone(shared),
            slot: Arc::clone(slot),
            waits_as: OnceLock::new(),
            taken: Mutex::new(Some(taken)),
        });
        let waits = line.enter(client.network, Arc::downgrade(&unread));
        // The cell was created above, so it is empty.
        let _ = unread.waits_as.set(waits);
        Ok(unread)
    }
}

impl Revoke for Unread {
    fn revoke(&self) {
        drop(self.taken.lock().take());
        self.slot.close.notify_one();
        metrics::counter!(m::CONNECTIONS_CLOSED, "reason" => "unread").increment(1);
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(waits) = self.waits_as.get() {
            self.shared.unread.leave(*waits);
        }
    }
}
