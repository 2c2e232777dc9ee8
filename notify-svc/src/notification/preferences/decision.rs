//! Whether a notification is sent now, later, or not at all: the one rule of it.
//!
//! | the recipient has | hotfix | system error | every other type |
//! | --- | --- | --- | --- |
//! | switched this type off | suppressed | suppressed | suppressed |
//! | switched email off | suppressed | sent | suppressed |
//! | quiet hours, to skip | sent | sent | suppressed |
//! | quiet hours, to defer | sent | sent | sent when they end |
//!
//! A hotfix and a system error do not wait for the morning. An administrator who wants no
//! email is still told of trouble, because a platform whose administrators hear of none
//! cannot be run; who really wants none switches off that very type.

use jiff::Timestamp;
use slipway_proto::events::{HotfixTaskAddedEvent, Payload as _, SystemErrorEvent};

use super::{Mode, Preferences, quiet::Window};

/// The type of notifications that tell administrators of trouble.
const SYSTEM_ERROR: &str = SystemErrorEvent::TYPE;

/// What is to be done with a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is sent.
    Deliver,
    /// It is not sent.
    Suppress(Suppression),
    /// It is sent then: the quiet hours end.
    Defer(Timestamp),
}

/// Why a notification is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppression {
    /// No emails are wanted.
    EmailOff,
    /// None of this type are wanted.
    TypeOff,
    /// It was quiet, and what comes then is not wanted later either.
    QuietHours,
}

impl Suppression {
    /// For a program.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::EmailOff => "EMAIL_OFF",
            Self::TypeOff => "TYPE_OFF",
            Self::QuietHours => "QUIET_HOURS",
        }
    }
}

impl std::fmt::Display for Suppression {
    /// The answer to "why was I not told?".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = match self {
            Self::EmailOff => "the recipient has switched email off",
            Self::TypeOff => "the recipient has switched this type off",
            Self::QuietHours => "made in quiet hours, which the recipient skips",
        };
        write!(f, "{}: {words}", self.code())
    }
}

/// Whether notifications of this type are sent in quiet hours as well.
#[must_use]
pub fn breaks_through(kind: &str) -> bool {
    kind == HotfixTaskAddedEvent::TYPE || kind == SYSTEM_ERROR
}

impl Preferences {
    /// What is to be done at `now` with a notification of type `kind`.
    #[must_use]
    pub fn decide(&self, kind: &str, now: Timestamp) -> Decision {
        if self.muted.contains(kind) {
            return Decision::Suppress(Suppression::TypeOff);
        }
        if !self.email && kind != SYSTEM_ERROR {
            return Decision::Suppress(Suppression::EmailOff);
        }
        let window = Window {
            start: self.quiet_hours.start,
            end: self.quiet_hours.end,
            zone: self.quiet_zone().rules(),
        };
        if !self.quiet_hours.enabled || breaks_through(kind) || !window.holds(now) {
            return Decision::Deliver;
        }
        match self.quiet_hours.mode {
            Mode::Skip => Decision::Suppress(Suppression::QuietHours),
            Mode::Defer => Decision::Defer(window.end(now)),
        }
    }
}

#[cfg(test)]
mod tests;
