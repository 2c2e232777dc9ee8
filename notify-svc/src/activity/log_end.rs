//! The end of the log as this process knows it, its highest sequence number; it wakes the tasks
//! that wait for entries. It also wakes them when the number is lower than before: then an older
//! backup of the database was restored, and they report the missing entries as a gap.

use tokio::sync::watch;

/// Shared by the projection, the poller and the watchers.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogEnd(watch::Sender<u64>);

impl LogEnd {
    /// Records that the log has entries up to this number. A number that is already out of date
    /// wakes the tasks for nothing, which is harmless.
    pub(crate) fn set(&self, sequence: u64) {
        self.0
            .send_if_modified(|known| std::mem::replace(known, sequence) != sequence);
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_number_wakes() {
        let log_end = LogEnd::default();
        let mut reader = log_end.subscribe();
        for sequence in [7, 3] {
            log_end.set(sequence);
            assert!(reader.has_changed().unwrap());
            assert_eq!(*reader.borrow_and_update(), sequence);
            log_end.set(sequence);
            assert!(!reader.has_changed().unwrap());
        }
    }
}
