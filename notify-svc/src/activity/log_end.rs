//! The end of the log, its newest number, as this process knows it: wakes those who wait for
//! entries, and also if it is before where it was. Then an older backup of the database was
//! restored, and they are told what is not there any more.

use tokio::sync::watch;

/// Shared by the projection, the poller and the watchers.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogEnd(watch::Sender<u64>);

impl LogEnd {
    /// There are entries up to this number. One that was read before others were appended
    /// wakes for nothing, which does no harm.
    pub(crate) fn set(&self, sequence: u64) {
        self.0
            .send_if_modified(|known| std::mem::replace(known, sequence) != sequence);
    }

    /// To be woken when there is something new.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_wakes() {
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
