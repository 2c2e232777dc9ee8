//! Which dead letters are asked for.

use std::fmt;

use jiff::Timestamp;
use slipway_runtime::id;
use uuid::Uuid;

use super::{DeadLetterId, State, Summary};

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
    /// Whether all conditions hold, those on the time to the millisecond.
    #[must_use]
    pub fn admits(&self, letter: &Summary) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| match wanted {
            None => true,
            Some(wanted) => found == Some(wanted.as_str()),
        };
        let millis = Timestamp::as_millisecond;
        let received = millis(letter.received_at);
        is(&self.group, Some(&letter.group))
            && is(&self.event_type, letter.event_type.as_deref())
            && is(&self.cause, Some(&letter.cause))
            && self
                .reason
                .as_ref()
                .is_none_or(|part| letter.reason.contains(part.as_str()))
            && self.from.is_none_or(|from| received >= millis(from))
            && self.to.is_none_or(|to| received < millis(to))
            && self.state.is_none_or(|state| letter.state == state)
    }
}

impl Filter {
    /// The identifiers that may stand on a list behind `after`: from the first one on, up
    /// to but without the second. They tell the time too.
    #[must_use]
    pub fn range(&self, after: Option<DeadLetterId>) -> (DeadLetterId, DeadLetterId) {
        let least = self.from.map_or(Uuid::nil(), id::first_at);
        let end = self.to.map_or(Uuid::max(), id::first_at);
        let behind = after.map_or(Uuid::max(), |after| after.0);
        (DeadLetterId(least), DeadLetterId(end.min(behind)))
    }
}

impl fmt::Display for Filter {
    /// All of it, unambiguously: what a cursor is bound to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
