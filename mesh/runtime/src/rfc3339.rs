//! Reads times in the form of RFC 3339, and in no other form: from requests, and from files that
//! people write.

use std::fmt;

use jiff::{Timestamp, civil};

/// The form of a time, for error messages.
pub const FORM: &str = "a date with a time and an offset (RFC 3339), such as 2026-12-01T17:00:00Z";

/// Why a text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MalformedTime {
    /// It does not have the form, or is no time, such as the 30th of February.
    Form,
    /// Its fraction of a second has more digits than can be stored.
    Digits,
    /// It is later than can be stored.
    Range,
}

impl fmt::Display for MalformedTime {
    /// What is wrong, as the end of a sentence that begins with the field's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => write!(f, "must be {FORM}"),
            Self::Digits => f.write_str("must have at most nine digits after the seconds"),
            Self::Range => f.write_str("must be at most 9999-12-30T22:00:00Z"),
        }
    }
}

/// Reads a time.
///
/// # Errors
/// [`MalformedTime`].
pub fn parse(text: &str) -> Result<Timestamp, MalformedTime> {
    if !has_form(text) {
        return Err(MalformedTime::Form);
    }
    let digits = text[LOCAL.len()..].trim_start_matches('.');
    let digits = digits.chars().take_while(char::is_ascii_digit).count();
    if digits > 9 {
        return Err(MalformedTime::Digits);
    }
    let parsed = text.parse::<Timestamp>().map_err(|_| {
        let is_time = text[..LOCAL.len()].parse::<civil::DateTime>().is_ok();
        match is_time {
            true => MalformedTime::Range,
            false => MalformedTime::Form,
        }
    })?;
    // The library reads a second 60 as 59. Leap seconds are inserted at the end of a UTC day only.
    let is_sixty = text.get(17..19) == Some("60");
    if is_sixty && parsed.as_second().rem_euclid(DAY) != DAY - 1 {
        return Err(MalformedTime::Form);
    }
    Ok(parsed)
}

/// Seconds of a UTC day without a leap second.
const DAY: i64 = 86_400;

/// The form of a time without its offset.
const LOCAL: &str = "2026-12-01T17:00:00";

/// Whether a text has the form of RFC 3339, section 5.6. The library accepts more forms, but it
/// checks the numbers, except those of the offset.
fn has_form(text: &str) -> bool {
    let is = |form: &str, text: &str| {
        let fits = |(form, given): (u8, u8)| match form {
            b'0' => given.is_ascii_digit(),
            _ => given.eq_ignore_ascii_case(&form),
        };
        form.len() == text.len() && form.bytes().zip(text.bytes()).all(fits)
    };
    let Some((date_time, rest)) = text.split_at_checked(LOCAL.len()) else {
        return false;
    };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) if !fraction.starts_with(|c: char| c.is_ascii_digit()) => return false,
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let is_offset = match offset.strip_prefix(['+', '-']) {
        Some(time) => is("00:00", time) && time[..2] < *"24" && time[3..] < *"60",
        None => is("Z", offset),
    };
    is("0000-00-00T00:00:00", date_time) && is_offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_second_is_at_the_end_of_a_utc_day() {
        for text in ["2016-12-31T23:59:60Z", "2017-01-01T00:59:60.5+01:00"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["2027-01-01T10:30:60Z", "2027-01-01T23:59:60+01:00"] {
            assert_eq!(parse(text), Err(MalformedTime::Form), "{text}");
        }
    }

    #[test]
    fn a_point_needs_digits() {
        for text in ["2027-01-01T10:30:00.Z", "2027-01-01T10:30:00.+01:00"] {
            assert_eq!(parse(text), Err(MalformedTime::Form), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_stored_is_told_apart() {
        let digits = parse("2027-01-01T00:00:00.1234567890Z");
        assert_eq!(digits, Err(MalformedTime::Digits));
        let range = parse("9999-12-31T23:59:59Z");
        assert_eq!(range, Err(MalformedTime::Range));
        assert!(parse("2027-01-01T00:00:00.123456789Z").is_ok());
    }
}
