//! Templates as administrators write them: each save is a version of its own, and so is
//! the return to what came with Slipway.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use slipway_proto::events::UserRef;

use super::built_in;

/// Characters of the name of a type at most.
const LONGEST_NAME: usize = 64;

/// The families of Slipway's own types, also of those to come: nobody else can announce
/// what only Slipway knows.
const OWN_FAMILIES: &[&str] = &[
    "chat",
    "comment",
    "dead_letter",
    "notification",
    "release",
    "slipway",
    "system",
    "task",
    "template",
    "user",
];

/// The name of a type of notifications that Slipway does not bring along: parts in lower
/// case letters and digits, with `.`, `-` or `_` between them, such as `order-placed`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OwnType(String);

/// A text that is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoOwnType {
    /// It has not the form of a name.
    #[error(
        "must be at most 64 lower case letters and digits with single . - or _ between them, \
         such as order-placed"
    )]
    Form,
    /// It belongs to Slipway.
    #[error("belongs to Slipway; choose a name outside its families, such as order-placed")]
    Reserved,
}

impl OwnType {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OwnType {
    type Err = NoOwnType;

    fn from_str(text: &str) -> Result<Self, NoOwnType> {
        let part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if text.len() > LONGEST_NAME || !text.split(['.', '-', '_']).all(part) {
            return Err(NoOwnType::Form);
        }
        let family = text.split('.').next().unwrap_or(text);
        // The names of the files decide as well: two templates cannot have one name.
        if OWN_FAMILIES.contains(&family) || built_in::is_file(text) {
            return Err(NoOwnType::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for OwnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The three templates of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Of the subject.
    pub subject: String,
    /// Of the plain text.
    pub text: String,
    /// Of the HTML.
    pub html: String,
}

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The subject.
    Subject,
    /// The plain text.
    Text,
    /// The HTML.
    Html,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Subject, Self::Text, Self::Html];

    /// The field of [`Source`].
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Text => "text",
            Self::Html => "html",
        }
    }

    pub(super) fn of(self, source: &Source) -> &str {
        match self {
            Self::Subject => &source.subject,
            Self::Text => &source.text,
            Self::Html => &source.html,
        }
    }

    /// By which templates refer to each other. The ending decides about escaping.
    pub(super) fn name(self, kind: &str) -> String {
        let ending = match self {
            Self::Subject => "subject",
            Self::Text => "txt",
            Self::Html => "html",
        };
        format!("{kind}.{ending}")
    }
}

/// What a version says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The templates.
    pub source: Source,
    /// Of a type that Slipway does not bring along: an example of its data. Its fields are
    /// the variables there are; one that is null there may be left out.
    pub sample: Option<Map<String, Value>>,
}

/// A version of the templates of a type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The type.
    pub kind: String,
    /// 1, 2, 3, … for each type.
    pub number: u64,
    /// Nothing: what came with Slipway counts again, or, if nothing did, the type is gone.
    #[serde(with = "slipway_store::json_text")]
    pub content: Option<Content>,
    /// Who saved it.
    pub author: UserRef,
    /// When.
    pub at: Timestamp,
}

impl Version {
    /// Whether it is of a type that Slipway does not bring along, and that is there by it:
    /// only such a type has a sample.
    #[must_use]
    pub fn is_own(&self) -> bool {
        let content = self.content.as_ref();
        content.is_some_and(|content| content.sample.is_some())
    }

    /// The bytes of its texts: what it weighs in a page.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.content.as_ref().map_or(0, |content| {
            let Source {
                subject,
                text,
                html,
            } = &content.source;
            let sample = content.sample.as_ref();
            let sample = sample.map_or(0, |sample| Value::Object(sample.clone()).to_string().len());
            subject.len() + text.len() + html.len() + sample
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_a_plain_name() {
        for name in ["order-placed", "shop.order_placed", "a1", "a.b.c"] {
            assert_eq!(name.parse::<OwnType>().unwrap().as_str(), name);
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        for bad in [
            "", "Order", "a b", "a..b", "-a", "a/b", "../a", "ä", "a\0", &long,
        ] {
            assert_eq!(bad.parse::<OwnType>(), Err(NoOwnType::Form), "{bad}");
        }
    }

    #[test]
    fn slipways_own_families_and_files_are_not_to_be_had() {
        for name in [
            "task.assigned",
            "task.anything",
            "system.error",
            "user",
            "layout",
            "facts",
        ] {
            assert_eq!(name.parse::<OwnType>(), Err(NoOwnType::Reserved), "{name}");
        }
    }
}
