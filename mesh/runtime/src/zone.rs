//! Time zones by their names.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// A time zone of the IANA database, by its name, such as `Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

impl Zone {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> &TimeZone {
        &self.0
    }
}

impl Default for Zone {
    /// UTC.
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

/// The text is not the name of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of an IANA time zone, such as Europe/Berlin")]
pub struct UnknownZone;

impl std::str::FromStr for Zone {
    type Err = UnknownZone;

    /// The machine's database has names that are not the IANA's, such as `localtime`,
    /// `posixrules` and `right/UTC`. The IANA's own `Factory` stands for no zone at all.
    fn from_str(text: &str) -> Result<Self, UnknownZone> {
        let zone = Self::try_from(text.to_owned())?;
        let is_known = TimeZoneDatabase::bundled().get(text).is_ok();
        match zone.name() {
            "Factory" => Err(UnknownZone),
            _ if is_known => Ok(zone),
            _ => Err(UnknownZone),
        }
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    /// As it is stored: another version of Slipway may have taken more names.
    fn try_from(text: String) -> Result<Self, UnknownZone> {
        let zone = TimeZone::get(&text).map_err(|_| UnknownZone)?;
        match zone.iana_name() {
            Some(_) => Ok(Self(zone)),
            None => Err(UnknownZone),
        }
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_those_of_the_database() {
        for name in [
            "Europe/Berlin",
            "Asia/Kathmandu",
            "America/New_York",
            "US/Eastern",
            "Asia/Calcutta",
            "Etc/GMT+5",
            "UTC",
        ] {
            assert_eq!(name.parse::<Zone>().unwrap().name(), name);
        }
        for bad in [
            "",
            "Mars/Olympus",
            "+02:00",
            "../etc/passwd",
            "Etc/Unknown",
            "Factory",
            "factory",
            "localtime",
            "posixrules",
            "posix/Europe/Berlin",
            "right/Europe/Berlin",
            "leapseconds",
        ] {
            assert_eq!(bad.parse::<Zone>(), Err(UnknownZone), "{bad}");
        }
    }

    #[test]
    fn a_zone_that_was_stored_before_it_was_refused_is_read() {
        let zone: Zone = serde_json::from_str("\"Factory\"").unwrap();
        assert_eq!(zone.name(), "Factory");
    }
}
