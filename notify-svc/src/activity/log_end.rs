//! The end of the log as this process knows it, its highest sequence number; it wakes the tasks
//! that wait for entries.

use tokio::sync::watch;

/// Shared by the projection, the poller and the watchers.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogEnd(watch::Sender<u64>);

impl LogEnd {
    /// Records that the log has entries up to this number.
    pub(crate) fn advance(&self, sequence: u64) {
        self.0.send_if_modified(|known| {
            let is_new = sequence > *known;
            *known = sequence.max(*known);
            is_new
        });
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_higher_number_wakes() {
        let log_end = LogEnd::default();
        let mut reader = log_end.subscribe();
        log_end.advance(7);
        assert!(reader.has_changed().unwrap());
        assert_eq!(*reader.borrow_and_update(), 7);
        log_end.advance(7);
        log_end.advance(3);
        assert!(!reader.has_changed().unwrap());
        assert_eq!(*reader.borrow(), 7);
    }
}
