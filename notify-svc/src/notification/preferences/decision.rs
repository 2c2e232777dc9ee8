//! Decides whether a notification is sent now, later or not at all. This is the only place with
//! this rule.
//!
//! | the recipient has | hotfix | system error | every other type |
//! | --- | --- | --- | --- |
//! | turned this type off | suppressed | suppressed | suppressed |
//! | turned email off | suppressed | sent | suppressed |
//! | quiet hours, mode skip | sent | sent | suppressed |
//! | quiet hours, mode defer | sent | sent | sent when they end |
//!
//! A user whose account is disabled gets nothing, whatever the preferences are.
//!
//! A hotfix and a system error are too urgent to wait for the morning. An administrator who has
//! turned email off still gets system errors, because somebody must learn of faults. To stop them,
//! the administrator turns off that type itself.

use jiff::Timestamp;
use slipway_proto::events::{HotfixTaskAddedEvent, Payload as _, SystemErrorEvent};

use super::{Mode, Preferences, quiet::Window};

/// The type of notifications that report faults to administrators.
const SYSTEM_ERROR: &str = SystemErrorEvent::TYPE;

/// The decision about a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is sent now.
    Deliver,
    /// It is not sent.
    Suppress(Suppression),
    /// It is sent at this time, when the quiet hours end.
    Defer(Timestamp),
}

/// Why a notification is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppression {
    /// The recipient has turned email off.
    EmailOff,
    /// The recipient has turned this type off.
    TypeOff,
    /// It was created in quiet hours, and the recipient skips those.
    QuietHours,
    /// An administrator has disabled the recipient's account.
    AccountDisabled,
}

impl Suppression {
    /// The code for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::EmailOff => "EMAIL_OFF",
            Self::TypeOff => "TYPE_OFF",
            Self::QuietHours => "QUIET_HOURS",
            Self::AccountDisabled => "ACCOUNT_DISABLED",
        }
    }
}

impl std::fmt::Display for Suppression {
    /// The reason that is shown to the recipient.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = match self {
            Self::EmailOff => "the recipient has switched email off",
            Self::TypeOff => "the recipient has switched this type off",
            Self::QuietHours => "made in quiet hours, which the recipient skips",
            Self::AccountDisabled => "the recipient's account is disabled",
        };
        write!(f, "{}: {words}", self.code())
    }
}

/// Whether notifications of this type are also sent in quiet hours.
#[must_use]
pub fn breaks_through(kind: &str) -> bool {
    kind == HotfixTaskAddedEvent::TYPE || kind == SYSTEM_ERROR
}

impl Preferences {
    /// The decision at `now` about a notification of type `kind`.
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
