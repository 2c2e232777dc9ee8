//! The newest number as this process knows it: wakes those who wait for entries.

use tokio::sync::watch;

/// Shared by who appends, who looks out for other replicas' entries, and who watches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Newest(watch::Sender<u64>);

impl Newest {
    /// There are entries up to this number.
    pub(crate) fn announce(&self, sequence: u64) {
        self.0.send_if_modified(|known| {
            let is_news = sequence > *known;
            *known = sequence.max(*known);
            is_news
        });
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
        let newest = Newest::default();
        let mut reader = newest.subscribe();
        newest.announce(7);
        assert!(reader.has_changed().unwrap());
        assert_eq!(*reader.borrow_and_update(), 7);
        newest.announce(7);
        newest.announce(3);
        assert!(!reader.has_changed().unwrap());
        assert_eq!(*reader.borrow(), 7);
    }
}
