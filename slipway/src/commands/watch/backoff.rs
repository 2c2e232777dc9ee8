//! Exponential backoff with jitter for reconnections.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Delays that double after each failure, up to 30 s. Each is multiplied by a random factor from
/// 0.5 to 1, so that the clients of a restarted server do not all reconnect at the same time.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self {
            first: FIRST,
            next: FIRST,
        }
    }

    /// Sets the first delay, as requested by the server.
    pub(super) fn begin_with(&mut self, first: Duration) {
        self.first = first.clamp(SHORTEST, LONGEST);
        self.reset();
    }

    /// Starts over after a successful connection.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next delay; `chance` is a random number from 0 to 1.
    pub(super) fn delay(&mut self, chance: f64) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_limit_and_start_over_after_a_reset() {
        let mut backoff = Backoff::new();
        let seconds: Vec<u64> = (0..7).map(|_| backoff.delay(1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.delay(1.0), Duration::from_secs(1));
    }

    #[test]
    fn jitter_takes_away_up_to_a_half() {
        assert_eq!(Backoff::new().delay(0.0), Duration::from_millis(500));
        assert_eq!(Backoff::new().delay(0.5), Duration::from_millis(750));
    }

    #[test]
    fn the_server_sets_the_first_delay_within_limits() {
        let mut backoff = Backoff::new();
        backoff.begin_with(Duration::from_secs(2));
        assert_eq!(backoff.delay(1.0), Duration::from_secs(2));
        backoff.begin_with(Duration::from_secs(3600));
        assert_eq!(backoff.delay(1.0), LONGEST);
        backoff.begin_with(Duration::ZERO);
        assert_eq!(backoff.delay(1.0), SHORTEST);
    }
}
