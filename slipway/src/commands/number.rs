//! Numbers on the command line.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

/// Reads whole numbers of `range`. They have only digits, as everywhere else: `+5` is refused.
pub(super) fn whole<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + 'static
where
    T: FromStr + Display + PartialOrd + Clone + 'static,
{
    move |text| {
        let has_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| has_digits);
        let within = number.filter(|number| range.contains(number));
        within.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!("must be a whole number from {least} to {most}")
        })
    }
}
