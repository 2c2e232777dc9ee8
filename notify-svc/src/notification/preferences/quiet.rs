//! Quiet hours.
//!
//! The hours are local time: from the start up to the end, without it; they may include midnight.
//! Changes of the clock need no special case. If the end falls into a gap, the quiet hours end with
//! the change. If all of them fall into the gap, there are none that day. If a time comes twice,
//! both count.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Time, tz::TimeZone};
use serde::{Deserialize, Serialize};
use slipway_runtime::zone::Zone;

/// The hours in which a user does not want to be disturbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuietHours {
    /// Whether they are enabled.
    pub enabled: bool,
    /// Start of the quiet hours.
    pub start: TimeOfDay,
    /// End of the quiet hours, which is not part of them. Differs from the start.
    pub end: TimeOfDay,
    /// The time zone of these times; `None` means the user's.
    pub time_zone: Option<Zone>,
    /// What happens to a notification in quiet hours.
    pub mode: Mode,
}

impl Default for QuietHours {
    /// Disabled; 22:00 to 07:00 if they are enabled.
    fn default() -> Self {
        Self {
            enabled: false,
            start: TimeOfDay(Time::constant(22, 0, 0, 0)),
            end: TimeOfDay(Time::constant(7, 0, 0, 0)),
            time_zone: None,
            mode: Mode::Defer,
        }
    }
}

/// What happens to a notification that is created in quiet hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// It is not sent.
    Skip,
    /// It is sent when they end.
    Defer,
}

/// A time of the day, to the minute, as `22:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(Time);

/// The text is not a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time from 00:00 to 23:59, such as 22:00")]
pub struct NoTimeOfDay;

impl FromStr for TimeOfDay {
    type Err = NoTimeOfDay;

    fn from_str(text: &str) -> Result<Self, NoTimeOfDay> {
        let number = |text: &str| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<i8>().ok()).flatten()
        };
        let (hour, minute) = text.split_once(':').ok_or(NoTimeOfDay)?;
        let (hour, minute) = number(hour).zip(number(minute)).ok_or(NoTimeOfDay)?;
        let time = Time::new(hour, minute, 0, 0).map_err(|_| NoTimeOfDay)?;
        Ok(Self(time))
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = NoTimeOfDay;

    fn try_from(text: String) -> Result<Self, NoTimeOfDay> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

/// Quiet hours in a time zone.
pub(super) struct Window<'a> {
    pub(super) start: TimeOfDay,
    pub(super) end: TimeOfDay,
    pub(super) zone: &'a TimeZone,
}

impl Window<'_> {
    /// Whether this time is within the quiet hours.
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        let time = at.to_zoned(self.zone.clone()).time();
        let (start, end) = (self.start.0, self.end.0);
        if start <= end {
            start <= time && time < end
        } else {
            start <= time || time < end
        }
    }

    /// The first time from `at` on that is outside the quiet hours. A change of the clock before
    /// the end either ends them or moves the end.
    pub(super) fn end(&self, mut at: Timestamp) -> Timestamp {
        while self.holds(at) {
            let end = at + self.left(at);
            let change = self.zone.following(at).next();
            at = match change.map(|change| change.timestamp()) {
                Some(change) if change < end => change,
                _ => end,
            };
        }
        at
    }

    /// The time until the end, if the clock is not changed before.
    fn left(&self, at: Timestamp) -> jiff::SignedDuration {
        let time = at.to_zoned(self.zone.clone()).time();
        let left = time.duration_until(self.end.0);
        if left.is_positive() {
            left
        } else {
            left + jiff::SignedDuration::from_hours(24)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_has_four_digits() {
        for text in ["00:00", "07:05", "23:59"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        for bad in [
            "", "7:00", "24:00", "12:60", "12:00:00", "+1:00", "noon", "1２:00",
        ] {
            assert_eq!(bad.parse::<TimeOfDay>(), Err(NoTimeOfDay), "{bad}");
        }
    }
}
