//! Validated values of a release: texts, order indexes and revisions. Limits count characters,
//! not bytes.

use std::{fmt, ops::Range};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_runtime::text;

/// Characters of a title or a name.
pub const MAX_TITLE: usize = 200;
/// Characters of a description.
pub const MAX_DESCRIPTION: usize = 8_000;
/// Characters of a version.
pub const MAX_VERSION: usize = 100;
/// Characters of the reason why a task is paused.
pub const MAX_REASON: usize = 1_000;

/// The seconds of the years 2000 to 2200.
const DUE: Range<i64> = 946_684_800..7_289_654_400;

/// A time at which a task can be due: a slip in the year is not one.
///
/// # Errors
/// What is wrong, continuing a sentence that begins with the field's name.
pub fn due_at(time: Timestamp) -> Result<Timestamp, &'static str> {
    match DUE.contains(&time.as_second()) {
        true => Ok(time),
        false => Err("must be a time of the years 2000 to 2200"),
    }
}

/// A text within its limits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// A name or title: 1 to 200 characters on one line, some of them visible. It is normalised
    /// and trimmed.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn title(text: &str) -> Result<Self, &'static str> {
        if text::is_blank(text) {
            return Err("must not be blank");
        }
        let line = text::kept_line(text);
        if line.chars().count() > MAX_TITLE {
            return Err("must have at most 200 characters");
        }
        text::check_line(text)?;
        Ok(Self(line))
    }

    /// A version: at most 100 characters on one line, normalised and trimmed. A blank version is
    /// stored as empty.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn version(text: &str) -> Result<Self, &'static str> {
        let line = text::kept_line(text);
        if line.chars().count() > MAX_VERSION {
            return Err("must have at most 100 characters");
        }
        text::check_line(text)?;
        Ok(Self(if text::is_blank(text) {
            String::new()
        } else {
            line
        }))
    }

    /// A description: at most 8,000 characters. Line breaks and tabs are allowed.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn description(text: &str) -> Result<Self, &'static str> {
        if text.chars().count() > MAX_DESCRIPTION {
            return Err("must have at most 8,000 characters");
        }
        text::check_lines(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The reason why a task is paused: 1 to 1,000 characters, some of them visible. Line breaks
    /// and tabs are allowed.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn reason(text: &str) -> Result<Self, &'static str> {
        if text::is_blank(text) {
            return Err("must not be blank");
        }
        if text.chars().count() > MAX_REASON {
            return Err("must have at most 1,000 characters");
        }
        text::check_lines(text)?;
        Ok(Self(text.trim().to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task's place in its release. It is unique in the release; gaps are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderIndex(i64);

impl OrderIndex {
    /// The default place of the first task.
    pub const FIRST: Self = Self(1);

    /// The greatest integer that every JSON reader reads exactly: 2^53 - 1.
    const MAX: i64 = 9_007_199_254_740_991;

    /// Validates a requested place.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn new(index: i64) -> Result<Self, &'static str> {
        if (0..=Self::MAX).contains(&index) {
            Ok(Self(index))
        } else {
            Err("must be a whole number from 0 to 9007199254740991")
        }
    }

    /// The next place; `None` if this is the last possible one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::new(self.0 + 1).ok()
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for OrderIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the changes of an aggregate, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Default for Revision {
    fn default() -> Self {
        Self::FIRST
    }
}

impl Revision {
    /// The revision of a new aggregate.
    pub const FIRST: Self = Self(1);

    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_have_one_to_two_hundred_characters_on_one_line() {
        assert!(Text::title("Build images").is_ok());
        assert!(Text::title(&"ä".repeat(200)).is_ok());
        for bad in [
            "",
            "  ",
            "\u{200b}",
            "a\nb",
            "a\0b",
            "a\u{202e}b",
            "a\u{2028}b",
            &"ä".repeat(201),
        ] {
            assert!(Text::title(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_title_is_normalised_and_trimmed() {
        for text in ["Café 2", " Café 2\u{a0}", "Cafe\u{301} 2"] {
            assert_eq!(Text::title(text).unwrap().as_str(), "Café 2", "{text:?}");
        }
        assert!(Text::title(&format!(" {} ", "e\u{301}".repeat(200))).is_ok());
        assert!(Text::title("a\n").is_err());
    }

    #[test]
    fn a_blank_version_is_stored_as_empty() {
        for blank in ["", " ", "\u{200b}", "\u{3164}\u{2800}"] {
            assert_eq!(Text::version(blank).unwrap().as_str(), "", "{blank:?}");
        }
        assert_eq!(Text::version("1.0 ").unwrap().as_str(), "1.0");
        assert!(Text::version("1\u{2028}0").is_err());
    }

    #[test]
    fn descriptions_may_have_lines_but_no_other_control_characters() {
        assert!(Text::description("").is_ok());
        assert!(Text::description("one\n\ttwo\r\n").is_ok());
        assert!(Text::description("\u{2067}שלום\u{2069}").is_ok());
        assert!(Text::description("a\0").is_err());
        assert!(Text::description("a\u{1b}[2J").is_err());
        assert!(Text::description(&"x".repeat(8_001)).is_err());
    }

    #[test]
    fn a_task_is_due_in_the_years_2000_to_2200() {
        for (time, is_ok) in [
            ("2000-01-01T00:00:00Z", true),
            ("2200-12-31T23:59:59.999Z", true),
            ("1999-12-31T23:59:59.999Z", false),
            ("2201-01-01T00:00:00Z", false),
            ("0001-01-01T00:00:00Z", false),
            ("-000001-01-01T00:00:00Z", false),
            ("9999-12-30T00:00:00Z", false),
        ] {
            assert_eq!(due_at(time.parse().unwrap()).is_ok(), is_ok, "{time}");
        }
    }

    #[test]
    fn order_indexes_are_integers_that_json_keeps_exact() {
        assert!(OrderIndex::new(0).is_ok());
        assert!(OrderIndex::new(-1).is_err());
        let last = OrderIndex::new(9_007_199_254_740_991).unwrap();
        assert_eq!(last.next(), None);
        assert!(OrderIndex::new(last.get() + 1).is_err());
    }
}
