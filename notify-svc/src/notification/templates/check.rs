//! Whether templates can be used, before they are stored: they are of a size, they are
//! well-formed, they use only variables that are there, and with the sample they come to
//! an end and to a mail.

use serde::Serialize;
use serde_json::{Map, Value};
use slipway_runtime::text::{check_line, check_lines, is_blank, shortened};

use super::{Content, Part, Reader, Source, Templates, sample};

/// Characters of the subject's template at most.
const LONGEST_SUBJECT: usize = 1000;

/// Bytes of the plain text's template at most.
const LONGEST_TEXT: usize = 16 * 1024;

/// Bytes of the HTML's template at most.
const LONGEST_HTML: usize = 64 * 1024;

/// Bytes of a sample at most, as JSON.
pub(crate) const LONGEST_DATA: usize = 16 * 1024;

/// Characters of a subject at most, as it is sent.
const LONGEST_LINE: usize = 200;

/// Characters of what is said of a variable that does not exist.
const LONGEST_MESSAGE: usize = 500;

/// Variables that every template has, beside those of its type.
const EVERYWHERE: &[&str] = &["recipient", "publicUrl"];

/// What is wrong with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// `subject`, `text`, `html` or `sample`.
    pub field: &'static str,
    /// What it must be, or what went wrong and where.
    pub message: String,
}

impl Flaw {
    fn of(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field,
            message: message.into(),
        }
    }
}

/// A variable of a type of notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Whether an event of the type must have it.
    pub required: bool,
}

/// The variables of a type with this sample; of one that Slipway brings along, those of
/// its events.
pub(super) fn variables(own: bool, sample: &Map<String, Value>) -> Vec<Variable> {
    let required = |name: &str, value: &Value| match own {
        true => !value.is_null(),
        false => !sample::optional(name),
    };
    let variable = |(name, value): (&String, &Value)| Variable {
        name: name.clone(),
        required: required(name, value),
    };
    let mut variables: Vec<_> = sample.iter().map(variable).collect();
    variables.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    variables
}

/// Whether `content` can be the templates of type `kind`; `templates` are those of all
/// types as they are, for the layouts.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(templates: &Templates, kind: &str, content: &Content) -> Result<(), Vec<Flaw>> {
    let built_in = sample::of(kind);
    let sample = match (&built_in, &content.sample) {
        (Some(_), Some(_)) => {
            let message = "is not known here: a type of Slipway's own has its own sample";
            return Err(vec![Flaw::of("sample", message)]);
        }
        (Some(sample), None) | (None, Some(sample)) => sample,
        (None, None) => {
            let message = "is required: its fields are the variables of the type";
            return Err(vec![Flaw::of("sample", message)]);
        }
    };
    let mut flaws = sizes(content);
    flaws.extend(controls(content));
    if !flaws.is_empty() {
        return Err(flaws);
    }
    let with = well_formed(templates, kind, content)?;
    let mut flaws = unknown_variables(&with, kind, sample);
    if flaws.is_empty() {
        flaws = renders(&with, kind, sample);
    }
    if flaws.is_empty() { Ok(()) } else { Err(flaws) }
}

fn sizes(content: &Content) -> Vec<Flaw> {
    let source = &content.source;
    let mut flaws = Vec::new();
    let mut bounded = |field, size: usize, limit: usize, unit| {
        if size == 0 {
            flaws.push(Flaw::of(field, "must not be empty"));
        } else if size > limit {
            let message = format!("must be at most {limit} {unit}, and is {size}");
            flaws.push(Flaw::of(field, message));
        }
    };
    let subject = source.subject.chars().count();
    bounded("subject", subject, LONGEST_SUBJECT, "characters");
    bounded("text", seen(&source.text), LONGEST_TEXT, "bytes");
    bounded("html", seen(&source.html), LONGEST_HTML, "bytes");
    if let Some(sample) = &content.sample {
        let size = Value::Object(sample.clone()).to_string().len();
        bounded("sample", size, LONGEST_DATA, "bytes of JSON");
        if let Some(name) = EVERYWHERE.iter().find(|name| sample.contains_key(**name)) {
            let message = format!("must not have {name}: every template has it anyway");
            flaws.push(Flaw::of("sample", message));
        }
        let is_odd = |name: &String| is_blank(name) || check_line(name).is_err();
        if sample.keys().any(is_odd) {
            let message = "must have no name that is blank or has control characters";
            flaws.push(Flaw::of("sample", message));
        }
    }
    flaws
}

/// Control characters, which a mail never has. Whether the subject has any is seen when it comes
/// out.
fn controls(content: &Content) -> Vec<Flaw> {
    let Source { text, html, .. } = &content.source;
    let parts = [("text", text), ("html", html)].into_iter();
    parts
        .filter_map(|(field, text)| Some(Flaw::of(field, check_lines(text).err()?)))
        .collect()
}

/// The bytes of a text; none, if nothing of it is to be seen.
fn seen(text: &str) -> usize {
    match is_blank(text) {
        true => 0,
        false => text.len(),
    }
}

/// The templates with this source, each of whose parts must be well-formed.
fn well_formed(
    templates: &Templates,
    kind: &str,
    content: &Content,
) -> Result<Templates, Vec<Flaw>> {
    let (mut with, mut flaws) = (templates.clone(), Vec::new());
    for part in Part::ALL {
        if let Err(error) = with.put(kind, part, part.of(&content.source)) {
            flaws.push(Flaw::of(part.field(), format!("is not valid: {error}")));
        }
    }
    if flaws.is_empty() {
        Ok(with)
    } else {
        Err(flaws)
    }
}

fn unknown_variables(with: &Templates, kind: &str, sample: &Map<String, Value>) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    for part in Part::ALL {
        for name in with.used_by(kind, part) {
            if !sample.contains_key(&name) && !is_everywhere(&name, part) {
                let known = sample.keys().map(String::as_str);
                let known: Vec<_> = known.chain(everywhere(part).iter().copied()).collect();
                let why = match &*name.to_lowercase() {
                    _ if EVERYWHERE.contains(&&*name) => "which only the text and the HTML have",
                    "null" | "nil" | "none" => "and no value is written none",
                    "true" | "false" => "which is written in lower case",
                    _ => "which is no variable of this type",
                };
                let message = format!("uses {name}, {why}; there are {}", known.join(", "));
                flaws.push(Flaw::of(part.field(), shortened(&message, LONGEST_MESSAGE)));
            }
        }
    }
    flaws
}

/// Whether a template has this variable whatever its type is.
pub(super) fn is_everywhere(name: &str, part: Part) -> bool {
    everywhere(part).contains(&name)
}

/// The variables of a template whatever its type is. The subject is made before it is known
/// whose name to put there.
fn everywhere(part: Part) -> &'static [&'static str] {
    match part {
        Part::Subject => &EVERYWHERE[1..],
        Part::Text | Part::Html => EVERYWHERE,
    }
}

fn renders(with: &Templates, kind: &str, sample: &Map<String, Value>) -> Vec<Flaw> {
    let own = sample::of(kind).is_none();
    let lean = match own {
        true => sample.clone(),
        false => sample::lean(sample.clone()),
    };
    let mut flaws = Vec::new();
    for part in Part::ALL {
        let recipient = (part != Part::Subject).then(|| Reader::from("ada"));
        // With everything that an event can have, and with no more than it must have.
        let flaw = [sample, &lean].into_iter().find_map(|data| {
            match with.part(kind, part, &present(data), recipient.as_ref()) {
                Ok(text) if part == Part::Subject => line(&text),
                Ok(_) => None,
                Err(error) => Some(Flaw::of(
                    part.field(),
                    format!("cannot be rendered: {error}"),
                )),
            }
        });
        flaws.extend(flaw);
    }
    flaws
}

/// What is wrong with a subject as it came out.
fn line(text: &str) -> Option<Flaw> {
    let length = text.trim().chars().count();
    let message = match length {
        // A template may be written in several lines: their breaks become spaces.
        _ if check_line(&text.replace(['\n', '\r', '\t'], " ")).is_err() => {
            "comes out with control characters or marks that change the direction of text"
                .to_owned()
        }
        _ if is_blank(text) => "must not come out empty".to_owned(),
        1..=LONGEST_LINE => return None,
        _ => format!("comes out with {length} characters, of which {LONGEST_LINE} are sent"),
    };
    Some(Flaw::of(Part::Subject.field(), message))
}

/// What is there of a sample or of an event's data: what is null is as if it was not.
pub(crate) fn present(fields: &Map<String, Value>) -> Value {
    let there = fields.iter().filter(|(_, value)| !value.is_null());
    Value::Object(
        there
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

#[cfg(test)]
mod tests;
