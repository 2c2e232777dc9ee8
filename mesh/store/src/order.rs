//! Order keys: texts that order documents in a list.

use std::fmt;

use jiff::Timestamp;

/// The order key by time, to the millisecond, and then by id. With an empty id it comes before all
/// documents of that millisecond. All times before 1970 count as the same time.
#[must_use]
pub fn by_time(at: Timestamp, id: impl fmt::Display) -> String {
    format!("{:015}/{id}", at.as_millisecond().max(0))
}

/// The order key after all documents of that millisecond, as [`by_time`] orders them.
#[must_use]
pub fn behind_time(at: Timestamp) -> String {
    // The character after `/`.
    format!("{:015}0", at.as_millisecond().max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_keys_sort_like_their_times_and_ids() {
        let times = [0, 1, 9, 10, 1_700_000_000_000, 253_402_207_200_000];
        let times = times.map(|at| Timestamp::from_millisecond(at).unwrap());
        assert!(times.map(|at| by_time(at, "b")).is_sorted());
        assert!(by_time(times[1], "") < by_time(times[1], "a"));
        assert!(by_time(times[1], "z") < by_time(times[2], ""));
        assert!(by_time(times[1], "z") < behind_time(times[1]));
        assert!(behind_time(times[1]) < by_time(times[2], ""));
        assert!(by_time(Timestamp::MAX, "z") < behind_time(Timestamp::MAX));
    }
}
