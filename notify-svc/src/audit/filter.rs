//! Filter for entries: by task, release, user, type and time.

use std::fmt;

use jiff::Timestamp;
use slipway_proto::events::EventType;
use uuid::Uuid;

use crate::activity::TypePattern;

/// A filter; an entry must meet all conditions that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only about this task.
    pub task: Option<Uuid>,
    /// Only about this release.
    pub release: Option<Uuid>,
    /// Only what this user did, or what was done to this account.
    pub user: Option<Uuid>,
    /// Any of these types; empty: all.
    pub types: Vec<TypePattern>,
    /// Only what happened at this time or later.
    pub from: Option<Timestamp>,
    /// Only what happened before this time.
    pub to: Option<Timestamp>,
}

impl Filter {
    /// Whether a time is within the period; times are compared in milliseconds.
    #[must_use]
    pub fn admits_time(&self, happened: Timestamp) -> bool {
        let millis = Timestamp::as_millisecond;
        let happened = millis(happened);
        self.from.is_none_or(|from| happened >= millis(from))
            && self.to.is_none_or(|to| happened < millis(to))
    }

    /// The types that are admitted, as far as this version knows them.
    pub fn known_types(&self) -> impl Iterator<Item = &'static str> {
        let known = EventType::ALL.iter().map(|known| known.name());
        known.filter(|name| self.types.iter().any(|wanted| wanted.matches(name)))
    }
}

impl fmt::Display for Filter {
    /// All conditions, unambiguously. A cursor is valid only for the same text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
