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

use crate::text::{alternatives, meant_by, shortened, written_out};

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
            (named(path, rest), unknown_field(rest).into())
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

/// What is wrong with a field or a parameter that is none of `known`; follows its name.
#[must_use]
pub fn unknown_name<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match meant_by(name, known) {
        Some(meant) => format!("is not known here (did you mean {meant}?)"),
        None => "is not known here".to_owned(),
    }
}

/// The same for a field that serde does not know; `text` names it, and those that serde knows.
fn unknown_field(text: &str) -> String {
    let name = text.split('`').nth(1).unwrap_or_default();
    let known = text.rsplit_once(", expected ").map(|parts| parts.1);
    let known = known.unwrap_or_default().split('`').skip(1).step_by(2);
    unknown_name(name, known)
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
            let names: Vec<_> = names.split('`').skip(1).step_by(2).collect();
            format!("must be {}", alternatives(&names)).into()
        }
        Some(what) if of("invalid ") => match in_json(what) {
            // A number that is too large, too small, or written as `1e3`.
            Some(number) if of("invalid value: integer") || of("invalid type: floating point") => {
                format!("must be {number}{}", bounds(what)).into()
            }
            Some(what) => format!("must be {what}").into(),
            None => not_known(),
        },
        _ => not_known(),
    }
}

/// Hides the words of a library, also from the log: they may repeat the value.
fn not_known() -> Cow<'static, str> {
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

/// What serde says of the JSON syntax, by its beginning, and the words of the API for it.
const SYNTAX: [(&str, &str); 14] = [
    ("recursion limit", "it is nested too deeply"),
    ("trailing characters", "something follows its end"),
    ("trailing comma", "nothing follows the comma"),
    ("number out of range", "a number is too large"),
    ("invalid number", "a number is malformed"),
    (
        "key must be a string",
        "a name in double quotes is expected",
    ),
    ("expected `:`", "a colon is expected after the name"),
    (
        "expected `,` or",
        "a comma or the closing bracket is expected",
    ),
    (
        "expected value",
        "a value is expected: text is in double quotes",
    ),
    ("expected ident", "true, false or null is expected"),
    (
        "control character",
        "a text has a control character: it is written as \\u and four digits",
    ),
    ("lone leading surrogate", LONE_SURROGATE),
    ("unexpected end of hex escape", LONE_SURROGATE),
    (
        "invalid escape",
        "a text has an unknown escape: a backslash itself is written twice",
    ),
];

const LONE_SURROGATE: &str = "a \\u escape is one half of a character: both halves are needed";

/// What is wrong with the JSON syntax, and where.
fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (line, column) = (error.line(), error.column());
    if error.classify() == Category::Eof {
        return match (line, column) {
            (1, 0) => "it is empty".into(),
            _ => format!("it ends too early (line {line}, column {column})"),
        };
    }
    let known = SYNTAX.iter().find(|(start, _)| text.starts_with(start));
    let what = known.map_or("this is not JSON", |(_, words)| words);
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
            (
                "tasks[0]",
                "unknown field `orderindex`, expected one of `title`, `orderIndex`",
                "tasks[0].orderindex is not known here (did you mean orderIndex?)",
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
                "unknown variant `D`, expected one of `A`, `B`, `C`",
                "n must be A, B or C",
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
        assert_eq!(described(""), "is not valid JSON: it is empty");
        assert!(described("1e999").contains("a number is too large"));
        assert!(described(&"[".repeat(1_000)).contains("it is nested too deeply"));
    }

    #[test]
    fn a_syntax_error_says_what_is_expected() {
        for (text, expected) in [
            (
                "{'a': 1}",
                "a name in double quotes is expected (line 1, column 2)",
            ),
            (
                "{\"a\": 'b'}",
                "a value is expected: text is in double quotes (line 1, column 7)",
            ),
            (
                "{\"a\": 1,}",
                "nothing follows the comma (line 1, column 9)",
            ),
            ("[1,]", "nothing follows the comma (line 1, column 4)"),
            (
                "{\"a\" 1}",
                "a colon is expected after the name (line 1, column 6)",
            ),
            (
                "[1 2]",
                "a comma or the closing bracket is expected (line 1, column 4)",
            ),
            (
                "[tru]",
                "true, false or null is expected (line 1, column 5)",
            ),
            ("[01]", "a number is malformed (line 1, column 3)"),
        ] {
            let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
            let described = Wrong::json("", &error).to_string();
            assert_eq!(
                described,
                format!("is not valid JSON: {expected}"),
                "{text}"
            );
        }
        for (text, expected) in [
            (r#"["\ud800"]"#, LONE_SURROGATE),
            (r#"["\udc00"]"#, LONE_SURROGATE),
            (r#"["\ud800\u0041"]"#, LONE_SURROGATE),
            (r#"["\x"]"#, "an unknown escape"),
            ("[\"\n\"]", "a control character"),
        ] {
            let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
            let described = Wrong::json("", &error).to_string();
            assert!(described.contains(expected), "{text}: {described}");
        }
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
