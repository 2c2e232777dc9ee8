//! Values that have a form of their own, in queries and in bodies: for
//! `#[serde(deserialize_with)]`. What is wrong with one is told in words of our own.

use std::{
    fmt::{self, Display},
    marker::PhantomData,
    str::FromStr,
};

use jiff::{Timestamp, civil};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, SeqAccess, Visitor},
};
use slipway_runtime::{
    id::MalformedId,
    json::{expects, refused},
};

use crate::model::{NoNumber, OutOfBounds};

/// What a time looks like.
const TIME: &str = "a date with a time and an offset (RFC 3339), such as 2026-12-01T17:00:00Z";

/// What a time of that form may not be.
const TIME_RANGE: &str =
    "at most 9999-12-30T22:00:00Z, with at most nine digits behind the seconds";

/// The error of a value whose text is our own: it follows the name of the field.
pub(crate) trait PlainMessage: Display {}

impl PlainMessage for &'static str {}
impl PlainMessage for MalformedId {}
impl PlainMessage for NoNumber {}
impl PlainMessage for OutOfBounds {}

/// Reads a parameter that has a form of its own.
pub(crate) fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: PlainMessage>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(refused)
}

/// The same of one that programs also send without a value: then it is left out.
pub(crate) fn parsed_if_any<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: PlainMessage>,
{
    let text = String::deserialize(deserializer)?;
    let value = (!text.is_empty()).then(|| text.parse());
    value.transpose().map_err(refused)
}

/// Reads a list of such parameters, separated by commas.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: PlainMessage>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parts = texts.iter().flat_map(|text| text.split(','));
    parts.map(|part| part.parse().map_err(refused)).collect()
}

/// Reads a parameter that is true or false.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(refused("must be true or false")),
    }
}

/// Reads a time, of a parameter or in a body, where `null` is none.
pub(crate) fn time<'de, D>(deserializer: D) -> Result<Option<Timestamp>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Time;

    impl Visitor<'_> for Time {
        type Value = Option<Timestamp>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            expects(f, TIME)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            let read = |text: &str| is_rfc3339(text).then(|| text.parse().ok()).flatten();
            let is_time = |text: &str| text[..LOCAL.len()].parse::<civil::DateTime>().is_ok();
            read(text).map(Some).ok_or_else(|| {
                if is_rfc3339(text) && is_time(text) {
                    return refused(format_args!("must be {TIME_RANGE}"));
                }
                let in_address = match read(&text.replace(' ', "+")) {
                    Some(_) => "; in an address the + before the offset is written %2B",
                    None => "",
                };
                refused(format_args!("must be {TIME}{in_address}"))
            })
        }
    }

    deserializer.deserialize_any(Time)
}

/// A time as RFC 3339 writes it, without its offset.
const LOCAL: &str = "2026-12-01T17:00:00";

/// Whether a text has the form of RFC 3339, section 5.6: the library reads more. What its
/// numbers may be is the library's to say, but for those of the offset.
fn is_rfc3339(text: &str) -> bool {
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

/// Reads a list of up to `MOST`, and nothing of what follows.
pub(crate) fn up_to<'de, const MOST: usize, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct UpTo<const MOST: usize, T>(PhantomData<T>);

    impl<'de, const MOST: usize, T: Deserialize<'de>> Visitor<'de> for UpTo<MOST, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Vec<T>, A::Error> {
            let mut read = Vec::new();
            while let Some(one) = all.next_element()? {
                if read.len() == MOST {
                    return Err(refused(format_args!("must be at most {MOST}")));
                }
                read.push(one);
            }
            Ok(read)
        }
    }

    deserializer.deserialize_seq(UpTo::<MOST, T>(PhantomData))
}

/// Reads what may be of any form: what is not as it should be counts as left out. For what
/// programs send that do not repeat what is refused.
pub(crate) fn or_absent<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
