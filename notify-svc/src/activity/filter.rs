//! Filter for activity entries: by type, by release and by user.

use std::{fmt, str::FromStr};

use slipway_proto::events::EventType;
use uuid::Uuid;

/// A filter; an entry must meet all conditions that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these types; empty: all.
    pub types: Vec<TypePattern>,
    /// Only what belongs to this release.
    pub release_id: Option<Uuid>,
    /// Only what this person caused or what concerns them.
    pub person: Option<Uuid>,
}

impl Filter {
    /// Whether the condition on the type holds.
    #[must_use]
    pub fn admits_type(&self, event_type: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|wanted| wanted.matches(event_type))
    }

    /// Whether the condition on the release holds.
    #[must_use]
    pub fn admits_release(&self, release_id: Option<Uuid>) -> bool {
        self.release_id.is_none() || self.release_id == release_id
    }
}

/// A type of event, or a family of types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypePattern {
    /// Exactly this type: `task.started`.
    Exact(String),
    /// Every type of this family: `task` for `task.*`.
    Family(String),
}

impl TypePattern {
    /// Whether such a type or family exists. A filter for one that does not would never match.
    #[must_use]
    pub fn is_known(&self) -> bool {
        EventType::ALL
            .iter()
            .any(|known| self.matches(known.name()))
    }

    /// Whether a type is this one, or of this family.
    #[must_use]
    pub fn matches(&self, event_type: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == event_type,
            Self::Family(wanted) => event_type
                .split_once('.')
                .is_some_and(|(family, _)| family == wanted),
        }
    }
}

/// The text is neither an event type nor a family of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a type such as task.started or a family such as task.*")]
pub struct MalformedPattern;

impl FromStr for TypePattern {
    type Err = MalformedPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (family, name) = text.split_once('.').ok_or(MalformedPattern)?;
        match (is_word(family), name) {
            (true, "*") => Ok(Self::Family(family.to_owned())),
            (true, name) if is_word(name) => Ok(Self::Exact(text.to_owned())),
            _ => Err(MalformedPattern),
        }
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(event_type) => f.write_str(event_type),
            Self::Family(family) => write!(f, "{family}.*"),
        }
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_catalogue_can_be_asked_for() {
        for name in EventType::ALL.iter().map(|known| known.name()) {
            let exact: TypePattern = name.parse().unwrap();
            assert!(exact.matches(name) && exact.is_known());
            assert_eq!(exact.to_string(), name);
            let (family, _) = name.split_once('.').unwrap();
            let family: TypePattern = format!("{family}.*").parse().unwrap();
            assert!(family.matches(name) && family.is_known());
        }
    }

    #[test]
    fn a_family_is_not_a_prefix() {
        let family: TypePattern = "task.*".parse().unwrap();
        assert!(family.matches("task.hotfix_added"));
        assert!(!family.matches("tasks.started"));
        assert!(!family.matches("task"));
        let exact: TypePattern = "task.started".parse().unwrap();
        assert!(!exact.matches("task.started_again"));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for bad in [
            "",
            "*",
            ".",
            "task",
            "task.",
            ".started",
            "*.started",
            "task.st*",
            "Task.started",
            "task.started.twice",
            "task.**",
            "task started",
            "7.x",
            "täsk.started",
            "task.*.",
        ] {
            assert_eq!(bad.parse::<TypePattern>(), Err(MalformedPattern), "{bad}");
        }
    }
}
