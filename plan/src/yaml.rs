//! Reads and writes YAML strictly: without anchors, aliases and merged keys, by which a small text
//! can stand for a very large one.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use serde_saphyr::{
    DuplicateKeyPolicy, Error as Fault, MergeKeyPolicy, Options, budget, options,
    with_deserializer_from_str_with_options,
};
use slipway_runtime::{
    json::{Objects, Wrong},
    text::{shortened, written_out},
};

/// Characters of a message of the parser that are shown.
const LONGEST: usize = 300;

/// How deep a plan is nested, with room.
const DEEPEST: usize = 32;

/// Why YAML is not as expected.
#[derive(Debug)]
pub struct Error {
    what: String,
    /// Its line and column.
    place: Option<(u64, u64)>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match self.place {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Parses `text`. Refuses a blank text, a second document, lists instead of objects, and duplicate
/// names in an object.
///
/// # Errors
/// What is wrong, and where.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    if text.trim().is_empty() {
        return Err(Error {
            what: "it is empty".to_owned(),
            place: None,
        });
    }
    let mut path = String::new();
    let read = with_deserializer_from_str_with_options(text, strict(), |yaml| {
        serde_path_to_error::deserialize(Objects(yaml)).map_err(|error| {
            path = error.path().to_string();
            error.into_inner()
        })
    });
    read.map_err(|fault| {
        let place = fault.location().map(|at| (at.line(), at.column()));
        Error {
            what: wrong(&path, fault.without_snippet()),
            place: place.filter(|(line, _)| *line > 0),
        }
    })
}

fn strict() -> Options {
    options! {
        budget: budget! {
            max_aliases: 0,
            max_anchors: 0,
            // The second one is told by its own error.
            max_documents: 2,
            max_depth: DEEPEST,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// What is wrong, as the end of a sentence.
fn wrong(path: &str, fault: &Fault) -> String {
    // A name that could not be read.
    let path = path.trim_end_matches('?').trim_end_matches('.');
    let value = |text: String| Wrong::value(path, &text).to_string();
    let must_be = |what: &str| match path {
        "" | "." => format!("must be {what}"),
        path => format!("{} must be {what}", written_out(path)),
    };
    match fault {
        Fault::Message { msg, .. } => value(msg.clone()),
        Fault::SerdeInvalidType {
            unexpected,
            expected,
            ..
        } => value(format!("invalid type: {unexpected}, expected {expected}")),
        Fault::SerdeInvalidValue {
            unexpected,
            expected,
            ..
        } => value(format!("invalid value: {unexpected}, expected {expected}")),
        Fault::SerdeUnknownVariant {
            variant, expected, ..
        } => value(format!(
            "unknown variant `{variant}`, expected one of {}",
            quoted(expected)
        )),
        Fault::SerdeUnknownField {
            field, expected, ..
        } => value(format!(
            "unknown field `{field}`, expected one of {}",
            quoted(expected)
        )),
        Fault::SerdeMissingField { field, .. } => value(format!("missing field `{field}`")),
        Fault::DuplicateMappingKey { key, .. } => value(format!(
            "duplicate field `{}`",
            key.as_deref().unwrap_or("a name")
        )),
        Fault::NullIntoString { .. } => must_be("a string"),
        Fault::Unexpected { expected, .. } if expected.contains("mapping") => must_be("an object"),
        Fault::Unexpected { expected, .. } if expected.contains("sequence") => must_be("a list"),
        Fault::Unexpected { .. } => must_be("a string"),
        Fault::MergeKeyNotAllowed { .. } => "a merged key (<<) is not possible here".into(),
        Fault::MultipleDocuments { .. } => "a second document follows".into(),
        Fault::Budget { breach, .. } => {
            let breach = format!("{breach:?}");
            match breach.contains("Anchor") || breach.contains("Alias") {
                true => "an anchor (&) or an alias (*) is not possible here".into(),
                false => "it is too large, or nested too deeply".into(),
            }
        }
        Fault::UnknownAnchor { .. } => "an anchor (&) or an alias (*) is not possible here".into(),
        other => {
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.split(" at line ").next().unwrap_or_default();
            let text = text.split_once(": line ").map_or(text, |(text, _)| text);
            format!("{}", written_out(&shortened(text, LONGEST)))
        }
    }
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Writes `value`.
pub(crate) fn write(value: &impl Serialize) -> String {
    let text = serde_saphyr::to_string(value);
    text.expect("text, numbers and lists of them can always be written as YAML")
}

/// Whether a line of `text` begins with a field of a plan.
pub(crate) fn has_field(text: &str) -> bool {
    let is_field = |line: &str| {
        let name = line.split_once(':').map(|(name, _)| name.trim_end());
        matches!(
            name,
            Some("name" | "version" | "description" | "tasks" | "hotfix")
        )
    };
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.find(|line| !line.starts_with(['#', '%']) && *line != "---");
    first.is_some_and(is_field)
}
