//! What became of the notifications of a day: how many are in each state, and how long those took
//! that were sent. From the stored notifications, so it is right after a restart and the same from
//! every replica.

use jiff::Timestamp;

use super::{Notification, Outcome, State};

/// Notifications of a state up to which they are counted.
pub const MAX_COUNTED: u32 = 100_000;

/// The last sent notifications whose latency is measured.
pub const MEASURED: u32 = 1_000;

/// The figures of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// How many notifications are in each state, in the order of [`State::ALL`], up to
    /// [`MAX_COUNTED`].
    pub counts: [u64; State::ALL.len()],
    /// Latencies in milliseconds of the last notifications that were sent.
    pub latencies: Vec<u64>,
}

impl Notification {
    /// Milliseconds from its creation to its acceptance by the mail server. `None` if it was not
    /// accepted, or was held back on purpose: for quiet hours, or for a digest.
    #[must_use]
    pub fn latency_ms(&self) -> Option<u64> {
        let mut attempts = self.attempts.iter();
        let accepted = attempts.find(|attempt| attempt.outcome == Outcome::Accepted)?;
        let first = self.attempts.first()?;
        let was_held =
            self.group.is_some() || first.outcome == Outcome::Accepted && self.has_waited();
        if was_held {
            return None;
        }
        let waited = accepted.at.as_millisecond() - self.created_at.as_millisecond();
        Some(u64::try_from(waited).unwrap_or(0) + accepted.duration_ms)
    }
}

/// The mean of values; `None` if there are none.
#[must_use]
pub fn mean(values: &[u64]) -> Option<u64> {
    let sum: u128 = values.iter().copied().map(u128::from).sum();
    let mean = sum.checked_div(values.len() as u128)?;
    u64::try_from(mean).ok()
}

/// The least value that at least `percent` of the values do not exceed; `None` if there are none.
#[must_use]
pub fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    let mut values = values.to_vec();
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied()
}

/// Midnight at the beginning of the day of `now` in a time zone.
#[must_use]
pub fn beginning_of_day(now: Timestamp, zone: &jiff::tz::TimeZone) -> Timestamp {
    let day = now.to_zoned(zone.clone()).start_of_day();
    day.map_or(now, |day| day.timestamp())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::SignedDuration;

    use super::*;
    use crate::notification::{Attempt, Draft, Subject, To};

    fn created() -> Notification {
        let draft = Draft {
            kind: "task.assigned".into(),
            to: To::address("ada@example.com"),
            data: serde_json::json!({}),
            sender: None,
        };
        let at = "2026-03-01T10:00:00Z".parse().unwrap();
        Notification::new(draft, uuid::Uuid::from_u128(1), Subject::new("s"), at)
    }

    fn attempted(notification: Notification, after: i64, outcome: Outcome) -> Notification {
        let at = notification.created_at + SignedDuration::from_secs(after);
        let attempt = Attempt::new(at, Duration::from_millis(20), outcome, "");
        notification.settle(attempt, 0.0, at).notification
    }

    #[test]
    fn the_latency_lasts_until_acceptance_and_leaves_out_what_was_held_back() {
        let first = attempted(created(), 2, Outcome::Accepted);
        assert_eq!(first.latency_ms(), Some(2_020));
        assert_eq!(created().latency_ms(), None, "not sent");
        let failed = attempted(created(), 2, Outcome::Permanent);
        assert_eq!(failed.latency_ms(), None);
        let retried = attempted(created(), 1, Outcome::Temporary);
        let retried = attempted(retried, 11, Outcome::Accepted);
        assert_eq!(retried.latency_ms(), Some(11_020), "a retry counts");
        let later = created().created_at + SignedDuration::from_hours(8);
        let deferred = attempted(created().deferred(later), 8 * 3600, Outcome::Accepted);
        assert_eq!(deferred.latency_ms(), None, "quiet hours");
        let gathered = attempted(
            created().gathered("g", "GATHERED", later),
            9,
            Outcome::Accepted,
        );
        assert_eq!(gathered.latency_ms(), None, "a digest");
    }

    #[test]
    fn means_and_percentiles_are_of_the_values() {
        assert_eq!((mean(&[]), percentile(&[], 99)), (None, None));
        assert_eq!((mean(&[7]), percentile(&[7], 99)), (Some(7), Some(7)));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(
            (mean(&hundred), percentile(&hundred, 99)),
            (Some(50), Some(99))
        );
        assert_eq!(percentile(&hundred, 50), Some(50));
        assert_eq!(mean(&[u64::MAX, u64::MAX]), Some(u64::MAX));
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_time_zone() {
        let now: Timestamp = "2026-03-01T23:30:00Z".parse().unwrap();
        for (zone, begin) in [
            ("UTC", "2026-03-01T00:00:00Z"),
            ("Europe/Berlin", "2026-03-01T23:00:00Z"),
            ("America/New_York", "2026-03-01T05:00:00Z"),
        ] {
            let zone = jiff::tz::TimeZone::get(zone).unwrap();
            assert_eq!(beginning_of_day(now, &zone), begin.parse().unwrap());
        }
    }
}
