//! Raises an alarm if too many requests are answered with 5xx: more than one in twenty, and at
//! least ten, within a minute.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use slipway_runtime::alarm::{self, Kind};

const WINDOW: Duration = Duration::from_secs(60);

/// Minimum number of errors in the window for an alarm.
const AT_LEAST: u64 = 10;

/// An alarm needs more than one error in this number of answers.
const ONE_IN: u64 = 20;

/// Counts the answers of the last minute, per second.
#[derive(Debug, Default)]
pub(crate) struct ErrorRate(Mutex<VecDeque<Second>>);

#[derive(Debug)]
struct Second {
    began: Instant,
    answers: u64,
    errors: u64,
}

impl ErrorRate {
    /// Counts an answer, and raises an alarm if there are too many errors.
    pub(crate) fn note(&self, is_error: bool) {
        if let Some(errors) = self.too_many(is_error, Instant::now()) {
            let text = format!("{errors} requests within a minute were answered with 5xx");
            alarm::raise(Kind::ErrorAnswers, "5xx", &text);
        }
    }

    /// Counts an answer. Returns the number of errors if this one is an error and there are now too
    /// many.
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
    fn answers_older_than_a_minute_do_not_count() {
        let (rate, start) = (ErrorRate::default(), Instant::now());
        for second in 0..600 {
            let now = start + Duration::from_secs(7 * second);
            assert_eq!(rate.too_many(true, now), None, "{second}");
        }
        assert!(rate.0.lock().len() <= 60);
    }
}
