//! Which notifications a user wants, and when. This file, `decision` and `quiet` are pure.
//!
//! | question | in |
//! | --- | --- |
//! | What can a user choose? | this file |
//! | When are the quiet hours? | [`quiet`] |
//! | Is this notification sent now, later or not at all? | [`decision`] |

mod decision;
mod quiet;
pub(crate) mod service;
pub mod store;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use slipway_runtime::zone::Zone;

pub use decision::{Decision, Suppression, breaks_through};
pub use quiet::{Mode, NoTimeOfDay, QuietHours, TimeOfDay};

/// The preferences of a user. The default, for users who have chosen nothing, is to get everything
/// at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preferences {
    /// Whether the user wants emails at all.
    pub email: bool,
    /// The types of notifications that the user does not want.
    pub muted: BTreeSet<String>,
    /// The quiet hours.
    pub quiet_hours: QuietHours,
    /// The user's time zone: of the times in mails, and of the quiet hours unless they have their own.
    pub time_zone: Zone,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            email: true,
            muted: BTreeSet::new(),
            quiet_hours: QuietHours::default(),
            time_zone: Zone::default(),
        }
    }
}

impl Preferences {
    /// The time zone of the quiet hours: their own, or else the user's.
    #[must_use]
    pub fn quiet_zone(&self) -> &Zone {
        let own = self.quiet_hours.time_zone.as_ref();
        own.unwrap_or(&self.time_zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_survive_a_round_trip() {
        let preferences = Preferences {
            email: false,
            muted: ["task.assigned".to_owned()].into(),
            quiet_hours: QuietHours {
                enabled: true,
                time_zone: Some("America/New_York".parse().unwrap()),
                mode: Mode::Skip,
                ..QuietHours::default()
            },
            time_zone: "Europe/Berlin".parse().unwrap(),
        };
        let text = serde_json::to_string(&preferences).unwrap();
        assert_eq!(
            serde_json::from_str::<Preferences>(&text).unwrap(),
            preferences
        );
    }
}
