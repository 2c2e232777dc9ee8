//! Filters the activity entries of a client: by type, by release, and by user.

use std::{fmt, str::FromStr};

use slipway_proto::{events::EventType, notify::v1};
use slipway_rpc::error::Fault;
use slipway_runtime::text::shortened;
use uuid::Uuid;

use super::frame::Frame;
use crate::{extract::PlainMessage, model::Id};

/// Types and families in a filter at most: the limit of the activity service.
const MAX_TYPES: usize = 20;

/// Characters of an unknown type in the error message.
const LONGEST_TYPE: usize = 100;

/// A type of entry, exact (`task.started`) or a family (`task.*`). It must exist: a client with a
/// misspelt type would wait for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypePattern(String);

/// A text that is neither a type of entry nor a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownType(String);

impl fmt::Display for UnknownType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0;
        write!(
            f,
            "must be a type such as task.started, or a family such as task.*; there is none \
             called {text:?}"
        )
    }
}

impl PlainMessage for UnknownType {}

impl FromStr for TypePattern {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let pattern = Self(text.to_owned());
        let is_known = EventType::ALL.iter().any(|known| {
            let family = known.name().split_once('.').map(|(family, _)| family);
            text == known.name() || text.strip_suffix(".*") == family
        });
        match is_known {
            true => Ok(pattern),
            false => Err(UnknownType(shortened(text, LONGEST_TYPE).into_owned())),
        }
    }
}

impl TypePattern {
    /// As text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn matches(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(family) => kind.starts_with(family),
            None => self.0 == kind,
        }
    }
}

/// A filter of entries. An empty field does not restrict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    types: Vec<TypePattern>,
    release_id: Option<Id>,
    mine: bool,
}

impl Filter {
    /// Builds a filter from the parameters of a request.
    ///
    /// # Errors
    /// If there are too many types.
    pub(crate) fn new(
        types: Vec<TypePattern>,
        release_id: Option<Id>,
        mine: Option<bool>,
    ) -> Result<Self, Fault> {
        if types.len() > MAX_TYPES {
            let message = format!("must be at most {MAX_TYPES} types or families");
            return Err(Fault::invalid_field("type", message));
        }
        Ok(Self {
            types,
            release_id,
            mine: mine.unwrap_or(false),
        })
    }

    /// The release that it selects, if it selects one.
    pub(crate) fn release(&self) -> Option<Id> {
        self.release_id
    }

    /// The filter for the activity service, which takes the user of `mine` from the token.
    pub(crate) fn to_proto(&self) -> v1::ActivityFilter {
        v1::ActivityFilter {
            types: self.types.iter().map(|pattern| pattern.0.clone()).collect(),
            release_id: self
                .release_id
                .map_or_else(String::new, |id| id.to_string()),
            mine: self.mine,
        }
    }

    /// Whether the entry passes the filter of the user `reader`.
    pub(super) fn matches(&self, frame: &Frame, reader: Uuid) -> bool {
        let of_type = self.types.is_empty()
            || self
                .types
                .iter()
                .any(|pattern| pattern.matches(&frame.kind));
        let of_release = self.release_id.is_none() || self.release_id == frame.release_id;
        of_type && of_release && (!self.mine || frame.concerns.contains(&Id(reader)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TypePattern {
        text.parse().unwrap()
    }

    #[test]
    fn every_type_and_family_of_the_catalogue_is_known() {
        for name in EventType::ALL.iter().map(|known| known.name()) {
            let (family, _) = name.split_once('.').unwrap();
            assert!(pattern(name).matches(name));
            assert!(pattern(&format!("{family}.*")).matches(name));
        }
    }

    #[test]
    fn a_family_is_not_a_prefix() {
        assert!(pattern("task.*").matches("task.started"));
        assert!(!pattern("task.*").matches("tasks.started"));
        assert!(!pattern("task.*").matches("task"));
        assert!(pattern("task.started").matches("task.started"));
        assert!(!pattern("task.started").matches("task.started_late"));
    }

    #[test]
    fn unknown_types_are_refused() {
        for bad in [
            "",
            "*",
            ".*",
            "task",
            "task*",
            "task.",
            "Task.started",
            "task.*.x",
            "task.started.twice",
            "1.x",
            "a b",
            "task.strated",
            "tasks.*",
        ] {
            let refused = bad.parse::<TypePattern>().unwrap_err().to_string();
            assert!(refused.ends_with(&format!("{bad:?}")), "{refused}");
        }
    }
}
