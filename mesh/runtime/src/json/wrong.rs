//! What is wrong with JSON, in words of our own.
//!
//! serde tells a fault as text, and a library that reads a value puts its own words into it:
//! names of Rust types, of its functions, of formats that only its authors know. None of that
//! is for a client. So a text is taken apart here: what serde itself says is known and put
//! into the words of the API, what our own types say is marked by [`refused`] and kept, and
//! all else becomes a sentence that names the field and no more.

use std::{
    borrow::Cow,
    fmt::{self, Display},
};

use serde::de;
use serde_json::error::Category;

use crate::text::{shortened, written_out};

/// What begins a text of our own, which no library's begins with.
pub(super) const OURS: char = '\u{1}';

/// Characters of a field's name at most: it may be one that the client made up.
const LONGEST_NAME: usize = 200;

/// An error in our own words, for a type that reads itself. `message` follows the name of
/// the field: "must be a UUID".
pub fn refused<E: de::Error>(message: impl Display) -> E {
    E::custom(format_args!("{OURS}{message}"))
}

/// What a visitor of our own expects, as [`de::Visitor::expecting`] writes it; "must be" goes
/// before it.
///
/// # Errors
/// As writing to `f`.
pub fn expects(f: &mut fmt::Formatter<'_>, what: impl Display) -> fmt::Result {
    write!(f, "{OURS}{what}")
}

/// What is wrong with JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// A field is not what it must be.
    Field {
        /// Its path, such as `tasks[1].title`; empty if it is the whole.
        field: String,
        /// What it must be: this follows its name.
        message: String,
    },
    /// It is not JSON: what and where, as the end of a sentence.
    Text(String),
}

impl Wrong {
    /// What is wrong with a value; serde stopped at `path`.
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

    /// What is wrong with a value; serde stopped at `path` and said `text`.
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

/// The path of the field that serde names in quotes. Some errors are reported at the field,
/// others at what contains it.
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
            Some(what) => format!("must be {what}").into(),
            None => not_known(text),
        },
        _ => not_known(text),
    }
}

/// A library's words stay here.
fn not_known(text: &str) -> Cow<'static, str> {
    tracing::debug!(text, "value refused; the reason is the parser's");
    "is not of the form that it must have".into()
}

/// What serde expects, in the words of JSON.
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

/// What is no JSON, and where.
fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = match error.classify() {
        Category::Eof => "it ends too early",
        _ if text.starts_with("recursion limit") => "it is nested too deeply",
        _ if text.starts_with("trailing characters") => "something follows its end",
        _ if text.starts_with("number out of range") => "a number is too large",
        _ => "this is no JSON",
    };
    let (line, column) = (error.line(), error.column());
    format!("{what} (line {line}, column {column})")
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Deserializer};

    use super::*;

    fn said(path: &str, text: &str) -> String {
        Wrong::value(path, text).to_string()
    }

    #[test]
    fn what_serde_says_is_told_in_words_of_json() {
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
                "n must be a whole number",
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
            assert_eq!(said(path, text), expected);
        }
    }

    #[test]
    fn what_a_library_says_stays_here() {
        for text in [
            "failed to parse year in date \"x\": failed to parse four digit integer",
            "invalid type: integer `7`, expected an RFC 3339 timestamp of jiff::Timestamp",
            "provided string was not `true` or `false`",
            "",
        ] {
            assert_eq!(said("a", text), "a is not of the form that it must have");
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
    fn what_our_own_types_say_is_kept() {
        let error = serde_json::from_str::<Even>("3").unwrap_err();
        assert_eq!(Wrong::json("n", &error).to_string(), "n must be even");
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let said = |text: &str| {
            let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
            Wrong::json("", &error).to_string()
        };
        assert_eq!(
            said("{\"a\":"),
            "is not valid JSON: it ends too early (line 1, column 5)"
        );
        assert_eq!(
            said("{}\n x"),
            "is not valid JSON: something follows its end (line 2, column 2)"
        );
        assert_eq!(
            said("{'a': 1}"),
            "is not valid JSON: this is no JSON (line 1, column 2)"
        );
        assert!(said("1e999").contains("a number is too large"));
        assert!(said(&"[".repeat(1_000)).contains("it is nested too deeply"));
    }

    #[test]
    fn a_name_that_a_client_made_up_has_an_end() {
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
