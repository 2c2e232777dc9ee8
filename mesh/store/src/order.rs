//! Texts that order documents in a list.

use std::fmt;

use jiff::Timestamp;

/// The text that orders documents by a time, to the millisecond, and then by their id. With
/// an empty id it stands before all of that moment. Times before 1970 are one moment.
#[must_use]
pub fn by_time(at: Timestamp, id: impl fmt::Display) -> String {
    format!("{:015}/{id}", at.as_millisecond().max(0))
}

/// The text behind all documents of that moment, as [`by_time`] orders them.
#[must_use]
pub fn behind_time(at: Timestamp) -> String {
    // The character behind the `/`.
    format!("{:015}0", at.as_millisecond().max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_in_the_order_of_what_they_are_made_from() {
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
