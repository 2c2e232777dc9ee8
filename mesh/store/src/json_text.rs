//! A serde module for a field that is stored as JSON text, for values whose form is defined
//! elsewhere. Not every database supports all keys and numbers of JSON.
//!
//! Use: `#[serde(with = "slipway_store::json_text")]`.

use serde::{
    Deserialize as _, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
    ser::Error as _,
};

/// Writes `value` as JSON text.
///
/// # Errors
/// If the value cannot be serialised as JSON.
pub fn serialize<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    let text = serde_json::to_string(value).map_err(S::Error::custom)?;
    to.serialize_str(&text)
}

/// Reads a value from JSON text.
///
/// # Errors
/// If it is not text, or does not match the type.
pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    serde_json::from_str(&text).map_err(D::Error::custom)
}
