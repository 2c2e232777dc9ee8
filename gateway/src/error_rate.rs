//! Notices when too many answers are errors of ours: more than one in twenty, and at least
//! ten, within a minute.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use slipway_runtime::alarm::{self, Kind};

const WINDOW: Duration = Duration::from_secs(60);

/// Errors in the window from which on it may be an incident.
const AT_LEAST: u64 = 10;

/// One answer in so many.
const ONE_IN: u64 = 20;

/// The answers of the last minute, second by second.
#[derive(Debug, Default)]
pub(crate) struct ErrorRate(Mutex<VecDeque<Second>>);

#[derive(Debug)]
struct Second {
    began: Instant,
    answers: u64,
    errors: u64,
}

impl ErrorRate {
    /// Accepts note of an answer, and raises an alarm if there are too many errors.
    pub(crate) fn note(&self, is_error: bool) {
        if let Some(errors) = self.too_many(is_error, Instant::now()) {
            let text = format!("{errors} requests within a minute were answered with 5xx");
            alarm::raise(Kind::ErrorAnswers, "5xx", &text);
        }
    }

    /// How many errors there are, if another one makes them too many.
    fn too_many(&self, is_error: bool, now: Instant) -> Option<u64> {
        let mut seconds = self.0.lock();
        while seconds
            .front()
            .is_some_and(|s| now.duration_since(s.began) >= WINDOW)
        {
            seconds.pop_front();
        }
        let begins = seconds
            .back()
            .is_none_or(|s| now.duration_since(s.began).as_secs() > 0);
        if begins {
            seconds.push_back(Second {
                began: now,
                answers: 0,
                errors: 0,
            });
        }
        let second = seconds.back_mut()?;
        second.answers += 1;
        second.errors += u64::from(is_error);
        if !is_error {
            return None;
        }
        let answers: u64 = seconds.iter().map(|s| s.answers).sum();
        let errors: u64 = seconds.iter().map(|s| s.errors).sum();
        (errors >= AT_LEAST && errors * ONE_IN > answers).then_some(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_errors_in_two_hundred_answers_are_not_too_many_and_one_more_is() {
        let (rate, now) = (ErrorRate::default(), Instant::now());
        for _ in 0..190 {
            assert_eq!(rate.too_many(false, now), None);
        }
        for _ in 0..10 {
            assert_eq!(rate.too_many(true, now), None);
        }
        assert_eq!(rate.too_many(true, now), Some(11));
    }

    #[test]
    fn nine_errors_alone_are_not_too_many() {
        let (rate, now) = (ErrorRate::default(), Instant::now());
        for _ in 0..9 {
            assert_eq!(rate.too_many(true, now), None);
        }
        assert_eq!(rate.too_many(true, now), Some(10));
    }

    #[test]
    fn what_was_over_a_minute_ago_does_not_count() {
        let (rate, start) = (ErrorRate::default(), Instant::now());
        for second in 0..600 {
            let now = start + Duration::from_secs(7 * second);
            assert_eq!(rate.too_many(true, now), None, "{second}");
        }
        assert!(rate.0.lock().len() <= 60);
    }
}
