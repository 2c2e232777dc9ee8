//! A field that is stored as a JSON text: for values whose form is not the program's own.
//! Not every database takes all keys and numbers that JSON has.
//!
//! Use: `#[serde(with = "slipway_store::json_text")]`.

use serde::{
    Deserialize as _, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
    ser::Error as _,
};

/// Writes `value` as a JSON text.
///
/// # Errors
/// If the value has no JSON.
pub fn serialize<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    let text = serde_json::to_string(value).map_err(S::Error::custom)?;
    to.serialize_str(&text)
}

/// Reads a value from a JSON text.
///
/// # Errors
/// If it is no text, or not of the value's form.
pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    serde_json::from_str(&text).map_err(D::Error::custom)
}
