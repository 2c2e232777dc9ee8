//! Details of a task by which its owner plans: priority, tags and reminder.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use slipway_runtime::text;

/// Tags of a task.
pub const MAX_TAGS: usize = 20;
/// Characters of a tag.
pub const MAX_TAG: usize = 50;
/// The longest time before the due time: 30 days, in minutes.
pub const MAX_REMIND_BEFORE: u32 = 30 * 24 * 60;

/// How important a task is. It does not change the order of a release.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Priority {
    /// It can wait.
    Low,
    /// The priority of a task of which nothing else is said.
    #[default]
    Normal,
    /// Before others.
    High,
    /// At once.
    Urgent,
}

/// The tags of a task: in lower case, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(BTreeSet<String>);

impl Tags {
    /// At most 20 tags, each of 1 to 50 characters on one line, some of them visible. They are
    /// normalised, trimmed and stored in lower case.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn new<'a>(tags: impl IntoIterator<Item = &'a str>) -> Result<Self, &'static str> {
        let tags = tags.into_iter().map(tag);
        let tags = tags.collect::<Result<BTreeSet<_>, _>>()?;
        if tags.len() > MAX_TAGS {
            return Err("must be at most 20");
        }
        Ok(Self(tags))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether this is one of them; see [`tag`].
    #[must_use]
    pub fn contains(&self, tag: &str) -> bool {
        self.0.contains(tag)
    }

    /// Their length in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(String::len).sum()
    }
}

/// A tag in the form that is stored.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with the field's name.
pub fn tag(tag: &str) -> Result<String, &'static str> {
    if text::is_blank(tag) {
        return Err("must not have a blank tag");
    }
    text::check_line(tag)?;
    let tag = text::kept_line(tag).to_lowercase();
    if tag.chars().count() > MAX_TAG {
        return Err("must be of at most 50 characters each");
    }
    Ok(tag)
}

/// How long before a task is due its owner is reminded, in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemindBefore(u32);

impl RemindBefore {
    /// Validates a number of minutes.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn new(minutes: u32) -> Result<Self, &'static str> {
        match minutes <= MAX_REMIND_BEFORE {
            true => Ok(Self(minutes)),
            false => Err("must be from 0 to 43200 minutes (30 days)"),
        }
    }

    /// The number of minutes.
    #[must_use]
    pub fn minutes(self) -> u32 {
        self.0
    }

    /// The same, as a duration.
    #[must_use]
    pub fn duration(self) -> SignedDuration {
        SignedDuration::from_mins(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_stored_in_lower_case_sorted_and_once() {
        let tags = Tags::new(["UI", " back end ", "ui", "Cafe\u{301}"]).unwrap();
        assert_eq!(tags.iter().collect::<Vec<_>>(), ["back end", "café", "ui"]);
        assert!(tags.contains(&tag("Back End").unwrap()));
        assert_eq!(tags.bytes(), 8 + 5 + 2);
    }

    #[test]
    fn a_task_has_at_most_twenty_tags_of_fifty_characters() {
        let numbered = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
        let tags = |count| Tags::new(numbered(count).iter().map(String::as_str));
        assert!(tags(20).is_ok());
        assert!(tags(21).is_err());
        assert!(Tags::new([&*"ä".repeat(50)]).is_ok());
        for bad in ["", " ", "a\nb", "\u{200b}", &"ä".repeat(51)] {
            assert!(Tags::new([bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_reminder_comes_at_most_thirty_days_before() {
        assert_eq!(
            RemindBefore::new(0).unwrap().duration(),
            SignedDuration::ZERO
        );
        assert!(RemindBefore::new(43_200).is_ok());
        assert!(RemindBefore::new(43_201).is_err());
    }
}
