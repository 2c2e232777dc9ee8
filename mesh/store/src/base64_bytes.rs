//! A field of bytes that is stored as a text in base64.
//!
//! Use: `#[serde(with = "slipway_store::base64_bytes")]`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

/// Writes bytes as a text.
///
/// # Errors
/// If the format cannot take a text.
pub fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

/// Reads bytes from a text.
///
/// # Errors
/// If it is no text, or not base64.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(from)?;
    let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
    Ok(bytes.into())
}
