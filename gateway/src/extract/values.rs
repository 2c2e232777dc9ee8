//! Deserializers for values with their own syntax, in queries and in bodies, for
//! `#[serde(deserialize_with)]`. Their error messages are our own, not serde's.

use std::{
    fmt::{self, Display},
    marker::PhantomData,
    str::FromStr,
};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, SeqAccess, Visitor},
};
use slipway_runtime::{
    id::MalformedId,
    json::{expects, refused, whole},
    rfc3339,
};

use crate::model::{NoNumber, OutOfBounds};

/// An error with a message of our own, which follows the name of the field.
pub(crate) trait PlainMessage: Display {}

impl PlainMessage for &'static str {}
impl PlainMessage for MalformedId {}
impl PlainMessage for NoNumber {}
impl PlainMessage for OutOfBounds {}

/// Reads a parameter by its `FromStr`.
pub(crate) fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: PlainMessage>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(refused)
}

/// The same; an empty value counts as absent.
pub(crate) fn parsed_if_any<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: PlainMessage>,
{
    let text = String::deserialize(deserializer)?;
    let value = (!text.is_empty()).then(|| text.parse());
    value.transpose().map_err(refused)
}

/// Reads a parameter that is a text. An empty one is refused: a filter would seem to work.
pub(crate) fn filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.is_empty() {
        true => Err(refused("must not be empty")),
        false => Ok(text),
    }
}

/// Reads a list of values by their `FromStr`, separated by commas.
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

/// Reads a time in a parameter or in a body; `null` counts as absent.
pub(crate) fn time<'de, D>(deserializer: D) -> Result<Option<Timestamp>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Time;

    impl Visitor<'_> for Time {
        type Value = Option<Timestamp>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            expects(f, rfc3339::FORM)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            rfc3339::parse(text).map(Some).map_err(|error| {
                let in_address = match rfc3339::parse(&text.replace(' ', "+")) {
                    Ok(_) => "; in an address the + before the offset is written %2B",
                    Err(_) => "",
                };
                refused(format_args!("{error}{in_address}"))
            })
        }
    }

    deserializer.deserialize_any(Time)
}

/// Reads a field of a change that may be left out, but is not `null`.
pub(crate) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// The same, for an integer like [`whole`].
pub(crate) fn given_whole<'de, const LAST: i64, D>(deserializer: D) -> Result<Option<i64>, D::Error>
where
    D: Deserializer<'de>,
{
    let number = whole::<LAST, D>(deserializer)?;
    number.map(Some).ok_or_else(|| refused("must not be null"))
}

/// The same as [`clearable`], for an integer like [`whole`].
pub(crate) fn clearable_whole<'de, const LAST: i64, D>(
    deserializer: D,
) -> Result<Option<Option<i64>>, D::Error>
where
    D: Deserializer<'de>,
{
    whole::<LAST, D>(deserializer).map(Some)
}

/// Reads a text to search for, without blanks at its ends.
pub(crate) fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.trim().to_owned())
}

/// Reads a field of a change that may be left out, and that `null` clears.
pub(crate) fn clearable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// The same, for a time.
pub(crate) fn clearable_time<'de, D>(deserializer: D) -> Result<Option<Option<Timestamp>>, D::Error>
where
    D: Deserializer<'de>,
{
    time(deserializer).map(Some)
}

/// Reads a list of up to `MOST` items, and stops reading at the first item too many.
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

/// Reads a value leniently: a value of another form counts as absent. For webhook callers, which do
/// not repeat refused requests.
pub(crate) fn or_absent<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
