//! Filter for dead letters.

use std::fmt;

use jiff::Timestamp;
use slipway_runtime::id;
use uuid::Uuid;

use super::{DeadLetterId, State, Summary};

/// A filter; a dead letter must meet all conditions that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this group.
    pub group: Option<String>,
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Only with this cause.
    pub cause: Option<String>,
    /// Only where the reason contains exactly this text.
    pub reason: Option<String>,
    /// Only those received at this time or later.
    pub from: Option<Timestamp>,
    /// Only those received before this time.
    pub to: Option<Timestamp>,
    /// Only those in this state.
    pub state: Option<State>,
}

impl Filter {
    /// Whether all conditions are met; times are compared in milliseconds.
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
    /// The ids that the rest of the list after `after` can have: from the first one up to, but not
    /// including, the second. An id contains its time.
    #[must_use]
    pub fn range(&self, after: Option<DeadLetterId>) -> (DeadLetterId, DeadLetterId) {
        let least = self.from.map_or(Uuid::nil(), id::first_at);
        let end = self.to.map_or(Uuid::max(), id::first_at);
        let behind = after.map_or(Uuid::max(), |after| after.0);
        (DeadLetterId(least), DeadLetterId(end.min(behind)))
    }
}

impl fmt::Display for Filter {
    /// All conditions, unambiguously. A cursor is valid only for the same text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
