//! Integers with bounds of their own: an error tells these, and not those of a 64-bit integer.

use std::fmt;

use serde::{
    Deserializer,
    de::{Error, Unexpected, Visitor},
};

use super::expects;

/// Reads an integer that may be from 0 to `LAST`; `null` counts as absent. The bounds
/// are those of the message: whoever uses the number checks them. Only a number of more than 64
/// bits, with a point or with an exponent is refused here.
///
/// # Errors
/// What a deserializer reports.
pub fn whole<'de, const LAST: i64, D>(deserializer: D) -> Result<Option<i64>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Whole<const LAST: i64>;

    impl<const LAST: i64> Visitor<'_> for Whole<LAST> {
        type Value = Option<i64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let bounds = format_args!("from 0 to {LAST}, without a point or an exponent");
            expects(f, format_args!("a whole number {bounds}"))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            let wrong = || E::invalid_value(Unexpected::Unsigned(number), &self);
            i64::try_from(number).map(Some).map_err(|_| wrong())
        }
    }

    deserializer.deserialize_any(Whole::<LAST>)
}
