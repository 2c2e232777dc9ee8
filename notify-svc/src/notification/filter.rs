//! Which notifications a reader wants.

use jiff::Timestamp;

use super::{Notification, State, To};

/// Conditions; all of them must hold. The default has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only of this recipient.
    pub to: Option<To>,
    /// Only in this state.
    pub state: Option<State>,
    /// Only of this type.
    pub kind: Option<String>,
    /// Only made at this time or later.
    pub from: Option<Timestamp>,
    /// Only made before this time.
    pub until: Option<Timestamp>,
    /// Only with this text in the subject, without regard to case.
    pub text: Option<String>,
}

impl Filter {
    /// Whether a notification is wanted.
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
        to.as_ref().is_none_or(|to| notification.to == *to)
            && state.is_none_or(|state| notification.state == state)
            && kind.as_ref().is_none_or(|kind| notification.kind == *kind)
            && from.is_none_or(|from| notification.created_at >= from)
            && until.is_none_or(|until| notification.created_at < until)
            && text
                .as_ref()
                .is_none_or(|text| key(notification.subject.as_str()).contains(&key(text)))
    }
}

/// A text as it is searched: in lower case.
#[must_use]
pub fn key(text: &str) -> String {
    text.to_lowercase()
}
