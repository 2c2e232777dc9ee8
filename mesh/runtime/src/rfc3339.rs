//! Times as RFC 3339 writes them, and in no other form: in requests, and in files that people
//! write.

use std::fmt;

use jiff::{Timestamp, civil};

/// What a time looks like.
pub const FORM: &str = "a date with a time and an offset (RFC 3339), such as 2026-12-01T17:00:00Z";

/// A text that is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MalformedTime {
    /// It has not the form.
    Form,
    /// It has the form, and is beyond what can be kept.
    Range,
}

impl fmt::Display for MalformedTime {
    /// What is wrong, continuing a sentence that begins with the field's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => write!(f, "must be {FORM}"),
            Self::Range => f.write_str(
                "must be at most 9999-12-30T22:00:00Z, with at most nine digits behind the seconds",
            ),
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
    text.parse().map_err(|_| {
        let is_time = text[..LOCAL.len()].parse::<civil::DateTime>().is_ok();
        match is_time {
            true => MalformedTime::Range,
            false => MalformedTime::Form,
        }
    })
}

/// The form without its offset.
const LOCAL: &str = "2026-12-01T17:00:00";

/// Whether a text has the form of RFC 3339, section 5.6: the library reads more. What its
/// numbers may be is the library's to say, but for those of the offset.
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
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let is_offset = match offset.strip_prefix(['+', '-']) {
        Some(time) => is("00:00", time) && time[..2] < *"24" && time[3..] < *"60",
        None => is("Z", offset),
    };
    is("0000-00-00T00:00:00", date_time) && is_offset
}
