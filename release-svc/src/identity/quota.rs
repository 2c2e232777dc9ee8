//! Limits how many accounts one address may register, and how many links in mails are asked for. Both
//! are counted per clock hour, because every database can do that in one conditional write.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// An hour in which registrations are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hour(i64);

/// How long an hour is.
pub const HOUR: SignedDuration = SignedDuration::from_hours(1);

impl Hour {
    /// The hour that contains this time.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self(time.as_second().div_euclid(HOUR.as_secs()))
    }

    /// The stored value: hours since 1970.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }

    /// The time from `now` to its end; at least one second.
    #[must_use]
    pub fn left(self, now: Timestamp) -> Duration {
        let end = (self.0 + 1) * HOUR.as_secs();
        let seconds = u64::try_from(end - now.as_second()).unwrap_or_default();
        Duration::from_secs(seconds.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_lasts_until_the_next_one() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let (first, last) = (time("2026-03-01T10:00:00Z"), time("2026-03-01T10:59:59.9Z"));
        assert_eq!(Hour::of(first), Hour::of(last));
        assert_ne!(Hour::of(first), Hour::of(time("2026-03-01T11:00:00Z")));
        assert_eq!(Hour::of(first).left(first), Duration::from_secs(3600));
        assert_eq!(Hour::of(last).left(last), Duration::from_secs(1));
    }
}
