//! A user's notification preferences.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slipway_proto::notify::v1;
use utoipa::ToSchema;

use super::{Malformed, proto::required};

/// How notifications in quiet hours are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum QuietMode {
    /// It is not sent.
    Skip,
    /// It is sent when the quiet hours end.
    #[default]
    Defer,
}

/// The hours in which a user is not notified: from the start (inclusive) to the end (exclusive), in
/// local time. They may cross midnight. Notifications of hotfixes and system errors are sent
/// anyway.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct QuietHours {
    enabled: bool,
    #[schema(example = "22:00")]
    start: String,
    /// Must differ from the start.
    #[schema(example = "07:00")]
    end: String,
    /// The name of an IANA time zone; `null` for the user's.
    time_zone: Option<String>,
    mode: QuietMode,
}

impl Default for QuietHours {
    fn default() -> Self {
        Self {
            enabled: false,
            start: "22:00".to_owned(),
            end: "07:00".to_owned(),
            time_zone: None,
            mode: QuietMode::default(),
        }
    }
}

/// A user's preferences. A field that is left out has its default.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Preferences {
    /// Whether emails are sent at all. System errors are sent anyway; they can be switched off by
    /// their type.
    email: bool,
    /// Whether each type of notifications is sent. A type that is left out is sent.
    types: BTreeMap<String, bool>,
    quiet_hours: QuietHours,
    /// The name of the IANA time zone in which the user lives: of the times in their mails, and of their
    /// quiet hours unless these have one of their own. Answers of the API are in UTC.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            email: true,
            types: BTreeMap::new(),
            quiet_hours: QuietHours::default(),
            time_zone: "UTC".to_owned(),
        }
    }
}

impl Preferences {
    /// The request that replaces the preferences, at any revision.
    pub(crate) fn update(self) -> v1::UpdatePreferencesRequest {
        let hours = self.quiet_hours;
        let mode = match hours.mode {
            QuietMode::Skip => v1::QuietMode::Skip,
            QuietMode::Defer => v1::QuietMode::Defer,
        };
        // Both lists are sent, because the service refuses unknown types in both.
        let muted = self.types.iter().filter(|(_, wanted)| !**wanted);
        let wanted = self.types.iter().filter(|(_, wanted)| **wanted);
        v1::UpdatePreferencesRequest {
            preferences: Some(v1::Preferences {
                email: self.email,
                muted: muted.map(|(kind, _)| kind.clone()).collect(),
                wanted: wanted.map(|(kind, _)| kind.clone()).collect(),
                quiet_hours: Some(v1::QuietHours {
                    enabled: hours.enabled,
                    start: hours.start,
                    end: hours.end,
                    time_zone: hours.time_zone.unwrap_or_default(),
                    mode: mode.into(),
                }),
                time_zone: self.time_zone,
            }),
            revision: None,
        }
    }

    /// The preferences in a service's response, and their revision.
    pub(crate) fn stored(stored: Option<v1::StoredPreferences>) -> Result<(Self, u64), Malformed> {
        let stored = required("preferences", stored)?;
        let preferences = required("preferences", stored.preferences)?;
        let hours = required("quiet_hours", preferences.quiet_hours)?;
        let mode = match hours.mode() {
            v1::QuietMode::Skip => QuietMode::Skip,
            _ => QuietMode::Defer,
        };
        let wanted = |kind: String| {
            let wanted = !preferences.muted.contains(&kind);
            (kind, wanted)
        };
        let chosen = Self {
            email: preferences.email,
            types: stored.types.into_iter().map(wanted).collect(),
            quiet_hours: QuietHours {
                enabled: hours.enabled,
                start: hours.start,
                end: hours.end,
                time_zone: Some(hours.time_zone).filter(|zone| !zone.is_empty()),
                mode,
            },
            time_zone: preferences.time_zone,
        };
        Ok((chosen, stored.revision))
    }
}
