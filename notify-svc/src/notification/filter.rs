//! Filter for notifications.

use jiff::Timestamp;

use super::{Notification, State, To};

/// Conditions; a notification must meet all of them. The default has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only those to one of these recipients; empty: to everybody.
    pub to: Vec<To>,
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this type.
    pub kind: Option<String>,
    /// Only those created at this time or later.
    pub from: Option<Timestamp>,
    /// Only those created before this time.
    pub until: Option<Timestamp>,
    /// Only those with this text in the subject; case is ignored.
    pub text: Option<String>,
}

impl Filter {
    /// Whether a notification meets all conditions.
    #[must_use]
    pub fn admits(&self, notification: &Notification) -> bool {
        let Self {
            to,
            state,
            kind,
            from,
            until,
            text,
        } = self;
        (to.is_empty() || to.contains(&notification.to))
            && state.is_none_or(|state| notification.state == state)
            && kind.as_ref().is_none_or(|kind| notification.kind == *kind)
            && from.is_none_or(|from| notification.created_at >= from)
            && until.is_none_or(|until| notification.created_at < until)
            && text
                .as_ref()
                .is_none_or(|text| key(notification.subject.as_str()).contains(&key(text)))
    }
}

/// The form of a text that is compared: lower case.
#[must_use]
pub fn key(text: &str) -> String {
    text.to_lowercase()
}
