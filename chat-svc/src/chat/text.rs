//! Validates titles and questions.

use serde::{Deserialize, Serialize};
use slipway_runtime::text;

/// The title of a session whose owner gave it none.
pub const DEFAULT_TITLE: &str = "New conversation";

/// Maximum length of a question in characters.
pub const MAX_QUESTION: usize = 8_000;

const MAX_TITLE: usize = 200;

/// A session's title: 1 to 200 characters, not blank. Stored normalised, without spaces at its
/// ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Title(String);

impl Title {
    /// Checks a title; an empty one becomes [`DEFAULT_TITLE`].
    ///
    /// # Errors
    /// The rule it violates, as the end of a sentence that starts with the field's name.
    pub fn or_default(text: &str) -> Result<Self, &'static str> {
        Self::new(if text.is_empty() { DEFAULT_TITLE } else { text })
    }

    /// Checks a title.
    ///
    /// # Errors
    /// The rule it violates, as the end of a sentence that starts with the field's name.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text::is_blank(text) {
            return Err("must not be blank");
        }
        let kept = text::kept_line(text);
        if kept.chars().count() > MAX_TITLE {
            return Err("must be at most 200 characters");
        }
        text::check_line(text)?;
        Ok(Self(kept))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A question: 1 to 8,000 characters, not blank. Stored unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuestionText(String);

impl QuestionText {
    /// Checks a question.
    ///
    /// # Errors
    /// The rule it violates, as the end of a sentence that starts with the field's name.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text::is_blank(text) {
            return Err("must not be blank");
        }
        if text.chars().count() > MAX_QUESTION {
            return Err("must be at most 8000 characters");
        }
        text::check_lines(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Title {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::new(&text)
    }
}

impl From<Title> for String {
    fn from(title: Title) -> Self {
        title.0
    }
}

impl TryFrom<String> for QuestionText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::new(&text)
    }
}

impl From<QuestionText> for String {
    fn from(text: QuestionText) -> Self {
        text.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_stored_unchanged() {
        let text = "  What's next?\n\tÄöü 🚢 ";
        assert_eq!(QuestionText::new(text).unwrap().as_str(), text);
    }

    #[test]
    fn limits_count_characters() {
        assert!(QuestionText::new(&"ü".repeat(MAX_QUESTION)).is_ok());
        assert!(QuestionText::new(&"ü".repeat(MAX_QUESTION + 1)).is_err());
        assert!(Title::new(&"ü".repeat(MAX_TITLE)).is_ok());
        assert!(Title::new(&"ü".repeat(MAX_TITLE + 1)).is_err());
    }

    #[test]
    fn blank_and_control_characters_are_refused() {
        for blank in ["", " ", "\n\t", "\u{200b}"] {
            assert!(QuestionText::new(blank).is_err());
        }
        for bad in ["a\0b", "a\u{1b}b"] {
            assert!(QuestionText::new(bad).is_err());
        }
        for blank in ["", "  ", "\u{3164}"] {
            assert!(Title::new(blank).is_err());
        }
        for bad in ["a\nb", "a\u{202e}b", "a\u{2028}b"] {
            assert!(Title::new(bad).is_err());
        }
        assert_eq!(Title::or_default("").unwrap().as_str(), DEFAULT_TITLE);
        assert!(Title::or_default("  ").is_err());
    }
}
