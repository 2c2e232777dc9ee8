//! Which dead letters are asked for.

use std::fmt;

use jiff::Timestamp;

use super::{State, Summary};

/// Wanted dead letters: all conditions that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this group.
    pub group: Option<String>,
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Only with this cause.
    pub cause: Option<String>,
    /// Only where the reason contains this text, to the letter.
    pub reason: Option<String>,
    /// Only those filed then or later.
    pub from: Option<Timestamp>,
    /// Only those filed before.
    pub to: Option<Timestamp>,
    /// Only those in this state.
    pub state: Option<State>,
}

impl Filter {
    /// Whether all conditions hold. The stores ask their databases instead; tests hold
    /// them to this.
    #[must_use]
    pub fn admits(&self, letter: &Summary) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| match wanted {
            None => true,
            Some(wanted) => found == Some(wanted.as_str()),
        };
        is(&self.group, Some(&letter.group))
            && is(&self.event_type, letter.event_type.as_deref())
            && is(&self.cause, Some(&letter.cause))
            && self
                .reason
                .as_ref()
                .is_none_or(|part| letter.reason.contains(part.as_str()))
            && self.from.is_none_or(|from| letter.received_at >= from)
            && self.to.is_none_or(|to| letter.received_at < to)
            && self.state.is_none_or(|state| letter.state == state)
    }
}

impl fmt::Display for Filter {
    /// All of it, unambiguously: what a cursor is bound to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
