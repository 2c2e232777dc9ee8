//! Describes what is wrong with JSON, in the words of the API.
//!
//! serde reports an error as text, and a library that parses a value adds its own words: names of
//! Rust types and functions, or of formats that only its authors know. Clients should not see
//! these. So this module parses the text: serde's own phrases are translated into the words of the
//! API; messages of our own types are marked by [`refused`] and kept; everything else becomes a
//! sentence that only names the field.

use std::{
    borrow::Cow,
    fmt::{self, Display},
};

use serde::de;
use serde_json::error::Category;

use crate::text::{shortened, written_out};

/// Marks a message of our own types; no library's message begins with it.
pub(super) const OURS: char = '\u{1}';

/// Maximum characters of a field's name: a client may have invented it.
const LONGEST_NAME: usize = 200;

/// An error with our own message, for a type with its own `Deserialize`. `message` follows the name
/// of the field: "must be a UUID".
pub fn refused<E: de::Error>(message: impl Display) -> E {
    E::custom(format_args!("{OURS}{message}"))
}

/// Writes what a visitor of our own expects, for [`de::Visitor::expecting`]; "must be" is added
/// before it.
///
/// # Errors
/// If writing to `f` fails.
pub fn expects(f: &mut fmt::Formatter<'_>, what: impl Display) -> fmt::Result {
    write!(f, "{OURS}{what}")
}

/// What is wrong with JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// A field has an invalid value.
    Field {
        /// Path of the field, such as `tasks[1].title`; empty for the whole document.
        field: String,
        /// What the value must be; follows the field's name.
        message: String,
    },
    /// The text is not JSON: what is wrong and where, as the end of a sentence.
    Text(String),
}

impl Wrong {
    /// Describes the error of a value; serde stopped at `path`.
    #[must_use]
    pub fn json(path: &str, error: &serde_json::Error) -> Self {
        if error.classify() != Category::Data {
            return Self::Text(syntax(error));
        }
        let text = error.to_string();
        let text = text
            .rsplit_once(" at line ")
            .map_or(&*text, |parts| parts.0);
        Self::value(path, text)
    }

    /// Describes the error of a value; serde stopped at `path` with the message `text`.
    #[must_use]
    pub fn value(path: &str, text: &str) -> Self {
        let path = if path == "." { "" } else { path };
        let (field, message) = if let Some(rest) = text.strip_prefix("missing field") {
            (named(path, rest), "is required".into())
        } else if let Some(rest) = text.strip_prefix("unknown field") {
            (named(path, rest), "is not known here".into())
        } else if let Some(rest) = text.strip_prefix("duplicate field") {
            (named(path, rest), "is given more than once".into())
        } else {
            (path.into(), message(text))
        };
        Self::Field {
            field: written_out(&shortened(&field, LONGEST_NAME)).into_owned(),
            message: message.into_owned(),
        }
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { field, message } if field.is_empty() => f.write_str(message),
            Self::Field { field, message } => write!(f, "{field} {message}"),
            Self::Text(what) => write!(f, "is not valid JSON: {what}"),
        }
    }
}

/// The path of the field that serde names in quotes. Some errors are reported at the field, others
/// at the object that contains it.
fn named<'a>(path: &'a str, text: &'a str) -> Cow<'a, str> {
    let name = text.split('`').nth(1).unwrap_or_default();
    if path.is_empty() {
        name.into()
    } else if path == name || path.ends_with(&format!(".{name}")) {
        path.into()
    } else {
        format!("{path}.{name}").into()
    }
}

/// What a value must be.
fn message(text: &str) -> Cow<'_, str> {
    if let Some(ours) = text.strip_prefix(OURS) {
        return ours.into();
    }
    let of = |prefix: &str| text.starts_with(prefix);
    let expected = text.rsplit_once(", expected ").map(|parts| parts.1);
    match expected {
        Some(names) if of("unknown variant") => {
            let names = names.trim_start_matches("one of ").replace('`', "");
            format!("must be {names}").into()
        }
        Some(what) if of("invalid ") => match in_json(what) {
            // A number that is too large, too small, or written as `1e3`.
            Some(number) if of("invalid value: integer") || of("invalid type: floating point") => {
                format!("must be {number}{}", bounds(what)).into()
            }
            Some(what) => format!("must be {what}").into(),
            None => not_known(text),
        },
        _ => not_known(text),
    }
}

/// Hides the words of a library.
fn not_known(text: &str) -> Cow<'static, str> {
    tracing::debug!(text, "value refused by a parser");
    "does not have the required form".into()
}

/// Translates what serde expects into the words of JSON.
fn in_json(expected: &str) -> Option<&str> {
    if let Some(ours) = expected.strip_prefix(OURS) {
        return Some(ours);
    }
    Some(match expected {
        "a string" | "a borrowed string" => "a string",
        "a boolean" => "a boolean",
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" | "an object" => "an object",
        _ if expected.starts_with("struct ") => "an object",
        _ => return None,
    })
}

/// The bounds of an integer type and the spelling of its values, as the end of a sentence; empty
/// for what is no integer.
fn bounds(expected: &str) -> String {
    let (first, last): (i64, u64) = match expected {
        "i8" => (i8::MIN.into(), i8::MAX.unsigned_abs().into()),
        "i16" => (i16::MIN.into(), i16::MAX.unsigned_abs().into()),
        "i32" => (i32::MIN.into(), i32::MAX.unsigned_abs().into()),
        "i64" => (i64::MIN, i64::MAX.unsigned_abs()),
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" => (0, u64::MAX),
        _ => return String::new(),
    };
    format!(" from {first} to {last}, without a point or an exponent")
}

/// What is wrong with the JSON syntax, and where.
fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = match error.classify() {
        Category::Eof => "it ends too early",
        _ if text.starts_with("recursion limit") => "it is nested too deeply",
        _ if text.starts_with("trailing characters") => "something follows its end",
        _ if text.starts_with("number out of range") => "a number is too large",
        _ => "this is not JSON",
    };
    let (line, column) = (error.line(), error.column());
    format!("{what} (line {line}, column {column})")
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Deserializer};

    use super::*;

    fn described(path: &str, text: &str) -> String {
        Wrong::value(path, text).to_string()
    }

    #[test]
    fn messages_of_serde_are_translated_into_words_of_json() {
        for (path, text, expected) in [
            (".", "missing field `name`", "name is required"),
            ("a.b", "missing field `b`", "a.b is required"),
            (
                "a[0]",
                "unknown field `c`, expected `b`",
                "a[0].c is not known here",
            ),
            (
                "",
                "unknown field `a\u{202e}\n`, expected `b`",
                "a\\u{202e}\\n is not known here",
            ),
            ("", "duplicate field `c`", "c is given more than once"),
            (
                "n",
                "invalid type: string \"1\", expected u32",
                "n must be a whole number",
            ),
            (
                "n",
                "invalid value: integer `-1`, expected u64",
                "n must be a whole number from 0 to 18446744073709551615, without a point or an \
                 exponent",
            ),
            (
                "n",
                "invalid type: floating point `1000.0`, expected i64",
                "n must be a whole number from -9223372036854775808 to 9223372036854775807, without \
                 a point or an exponent",
            ),
            (
                "n",
                "invalid type: floating point `1000.0`, expected a string",
                "n must be a string",
            ),
            (
                "n",
                "invalid type: map, expected struct Part",
                "n must be an object",
            ),
            (
                "n",
                "invalid type: string \", expected x\", expected a boolean",
                "n must be a boolean",
            ),
            (
                "n",
                "unknown variant `C`, expected `A` or `B`",
                "n must be A or B",
            ),
        ] {
            assert_eq!(described(path, text), expected);
        }
    }

    #[test]
    fn messages_of_libraries_are_hidden() {
        for text in [
            "failed to parse year in date \"x\": failed to parse four digit integer",
            "invalid type: integer `7`, expected an RFC 3339 timestamp of jiff::Timestamp",
            "provided string was not `true` or `false`",
            "",
        ] {
            assert_eq!(described("a", text), "a does not have the required form");
        }
    }

    #[derive(Debug)]
    struct Even;

    impl<'de> Deserialize<'de> for Even {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match u64::deserialize(deserializer)? % 2 {
                0 => Ok(Self),
                _ => Err(refused("must be even")),
            }
        }
    }

    #[test]
    fn messages_of_our_own_types_are_kept() {
        let error = serde_json::from_str::<Even>("3").unwrap_err();
        assert_eq!(Wrong::json("n", &error).to_string(), "n must be even");
    }

    #[test]
    fn syntax_errors_have_their_place() {
        let described = |text: &str| {
            let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
            Wrong::json("", &error).to_string()
        };
        assert_eq!(
            described("{\"a\":"),
            "is not valid JSON: it ends too early (line 1, column 5)"
        );
        assert_eq!(
            described("{}\n x"),
            "is not valid JSON: something follows its end (line 2, column 2)"
        );
        assert_eq!(
            described("{'a': 1}"),
            "is not valid JSON: this is not JSON (line 1, column 2)"
        );
        assert!(described("1e999").contains("a number is too large"));
        assert!(described(&"[".repeat(1_000)).contains("it is nested too deeply"));
    }

    #[test]
    fn long_field_names_are_shortened() {
        let text = format!(
            "unknown field `{}`, there are no fields",
            "x".repeat(100_000)
        );
        let Wrong::Field { field, .. } = Wrong::value("", &text) else {
            panic!("a field");
        };
        assert_eq!(field.chars().count(), LONGEST_NAME);
    }
}
