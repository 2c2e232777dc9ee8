//! From an event's data to the words of a mail.
//!
//! A type of notification has three templates, for the subject, the plain text and the
//! HTML, in a directory of `notify-svc/templates`. Their variables are those that
//! [`audience`](crate::notification::audience) hands on, and beside them:
//!
//! | variable | |
//! | --- | --- |
//! | `recipient` | name of who gets it; not in the subject |
//! | `publicUrl` | where Slipway is found by its users, without a slash at the end |
//!
//! and the filter `when`, which writes a time for people, in the recipient's time zone. In HTML everything is escaped.
//!
//! No template and no event can use up memory, stack or time: [`language`] says what a
//! template may use, [`filters`] bounds what it computes with, a template has fuel for so
//! many steps and room for so much text, and it runs on [`threads`] with a known stack.

mod built_in;
mod changed;
mod check;
mod edit;
pub(crate) mod editor;
mod filters;
mod language;
mod library;
mod limited;
mod sample;
pub(crate) mod service;
pub mod store;
mod threads;

use std::{error::Error as _, fmt::Write as _};

use minijinja::{
    Environment, ErrorKind, UndefinedBehavior, Value, context, default_auto_escape_callback,
    value::Serde,
};
use serde_json::json;
use slipway_runtime::{text::is_blank, zone::Zone};

use super::Subject;

use check::is_everywhere;
pub use check::{Flaw, Variable, check};
pub(crate) use check::{LONGEST_DATA, present};
pub use edit::{Content, NoOwnType, OwnType, Part, Source, Version};
pub(crate) use library::Busy;
pub use library::{Current, Library};
pub use sample::of as sample_of;

/// Steps a template may take: fifty times what a built-in one takes. The slowest step is
/// a filter or a comparison on all of an event's data, which takes a few hundred
/// microseconds; a loop needs several steps for each.
const FUEL: u64 = 20_000;

/// Bytes a template may write.
const LONGEST: usize = 256 * 1024;

/// A template cannot be used: it is malformed, refers to what is not there, or does not
/// come to an end. Says where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(String);

/// Who reads a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Their name.
    pub name: String,
    /// The time zone of the times in the mail.
    pub zone: Zone,
}

impl From<&str> for Reader {
    /// A reader of this name whose time zone is not known: UTC.
    fn from(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            zone: Zone::default(),
        }
    }
}

/// The words of a mail, its subject aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// The templates of all types of notifications.
#[derive(Debug, Clone)]
pub struct Templates {
    env: Environment<'static>,
    public_url: String,
}

impl Templates {
    /// The built-in templates, with links that begin with `public_url`.
    #[must_use]
    pub fn built_in(public_url: &str) -> Self {
        let mut env = Environment::empty();
        // The same errors in every build; where they are is known without it.
        env.set_debug(false);
        env.set_auto_escape_callback(default_auto_escape_callback);
        env.set_fuel(Some(FUEL));
        env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        filters::add_to(&mut env);
        for (name, source) in built_in::FILES {
            env.add_template(name, source)
                .expect("the built-in templates are well-formed: a test renders each");
        }
        Self {
            env,
            public_url: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// The same with other templates for the type `kind`.
    ///
    /// # Errors
    /// If one of them is malformed or does not keep to the [`language`].
    pub fn with(&self, kind: &str, source: &Source) -> Result<Self, RenderError> {
        let mut with = self.clone();
        for part in Part::ALL {
            with.put(kind, part, part.of(source))?;
        }
        Ok(with)
    }

    fn put(&mut self, kind: &str, part: Part, source: &str) -> Result<(), RenderError> {
        let (name, source) = (part.name(kind), source.to_owned());
        language::check(&name, &source)?;
        let put = self.env.add_template_owned(name, source);
        put.map_err(|error| told(&error, Vec::new))
    }

    /// The subject of a notification of type `kind` with these variables.
    ///
    /// # Errors
    /// If there is no such type, or its template cannot be used.
    pub fn subject(&self, kind: &str, data: &serde_json::Value) -> Result<Subject, RenderError> {
        let text = self.part(kind, Part::Subject, data, None)?;
        let subject = Subject::new(&text);
        if is_blank(subject.as_str()) {
            let name = Part::Subject.name(kind);
            return Err(RenderError(format!("nothing is to be seen of it ({name})")));
        }
        Ok(subject)
    }

    /// The words of a notification of type `kind` with these variables, for `recipient`.
    ///
    /// # Errors
    /// If there is no such type, or one of its templates cannot be used.
    pub fn body(
        &self,
        kind: &str,
        data: &serde_json::Value,
        recipient: impl Into<Reader>,
    ) -> Result<Body, RenderError> {
        let recipient = recipient.into();
        Ok(Body {
            text: self.part(kind, Part::Text, data, Some(&recipient))?,
            html: self.part(kind, Part::Html, data, Some(&recipient))?,
        })
    }

    fn part(
        &self,
        kind: &str,
        part: Part,
        data: &serde_json::Value,
        recipient: Option<&Reader>,
    ) -> Result<String, RenderError> {
        let fields = Value::from(Serde(data));
        let common = context! { publicUrl => self.public_url.as_str(), ..fields };
        let variables = match recipient {
            Some(Reader { name, zone }) => {
                let zone = json!({ filters::ZONE: zone.name() });
                let zone = Value::from(Serde(&zone));
                let common = context! { ..zone, ..common };
                context! { recipient => name.as_str(), ..common }
            }
            None => common,
        };
        let mut output = limited::Output::new(LONGEST);
        let template = self.env.get_template(&part.name(kind));
        template
            .and_then(|template| {
                let rendered = template.render_captured_to(variables, &mut output);
                rendered.map(|_| ())
            })
            .map_err(|error| {
                told(&error, || {
                    let mut used = self.used_by(kind, part);
                    used.retain(|name| data.get(name).is_none() && !is_everywhere(name, part));
                    used
                })
            })?;
        Ok(output.into_text())
    }

    /// The variables that a template uses and does not set itself.
    fn used_by(&self, kind: &str, part: Part) -> Vec<String> {
        let Ok(template) = self.env.get_template(&part.name(kind)) else {
            return Vec::new();
        };
        let used = template.undeclared_variables(false);
        let mut names: Vec<_> = used.into_iter().collect();
        names.sort_unstable();
        names
    }
}

/// What is wrong, where, and for people; `missing` are the variables that it uses without
/// the data having them.
fn told(error: &minijinja::Error, missing: impl FnOnce() -> Vec<String>) -> RenderError {
    // What is wrong in an included file is told, and where it is included.
    let mut cause = error;
    while let Some(source) = cause.source().and_then(|source| source.downcast_ref()) {
        cause = source;
    }
    let mut text = match cause.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
        ErrorKind::WriteFailure => format!("it writes more than {} KiB", LONGEST / 1024),
        ErrorKind::UndefinedError => undefined(&missing()),
        kind => match cause.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    if let (Some(name), Some(line)) = (error.name(), error.line()) {
        let _ = write!(text, " ({name}, line {line})");
    }
    RenderError(text)
}

fn undefined(missing: &[String]) -> String {
    let Some(first) = missing.first() else {
        return "undefined value: write a field that may be missing as a.b|default(\"\")"
            .to_owned();
    };
    let missing = missing.join(", ");
    format!(
        "undefined value in data without {missing}; write one that may be missing as \
         {first}|default(\"\")"
    )
}

#[cfg(test)]
mod tests;
