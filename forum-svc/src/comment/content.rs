//! The validated text of a comment: 1 to 10,000 characters, stored unchanged.

use serde::{Deserialize, Serialize};
use slipway_runtime::text;

/// Characters of a comment.
pub const MAX_CONTENT: usize = 10_000;

/// Characters of an excerpt.
pub const MAX_EXCERPT: usize = 200;

/// A text within its limits. It is Markdown by convention and is not changed. Texts read from a
/// store are not checked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content(String);

impl Content {
    /// Validates a text that is to be posted.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn new(text: String) -> Result<Self, &'static str> {
        if text::is_blank(&text) {
            return Err("must not be blank");
        }
        text::check_lines(&text)?;
        if text.chars().count() > MAX_CONTENT {
            return Err("must have at most 10,000 characters");
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first [`MAX_EXCERPT`] characters at most, on one line, with an ellipsis if it is cut.
    /// Direction-changing characters are removed, because the excerpt is used inside other
    /// sentences.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let mut line = String::new();
        let mut length = 0;
        let text = self.0.replace(text::changes_direction, "");
        for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
            if word.is_empty() {
                continue;
            }
            let between = usize::from(!line.is_empty());
            let room = MAX_EXCERPT - length;
            let size = between + word.chars().count();
            if between == 1 {
                line.push(' ');
            }
            if size > room {
                line.extend(word.chars().take(room.saturating_sub(between)));
                return cut(&line);
            }
            line.push_str(word);
            length += size;
        }
        line
    }
}

/// The text with an ellipsis, within the limit.
fn cut(line: &str) -> String {
    let start: String = line.chars().take(MAX_EXCERPT - 1).collect();
    format!("{}…", start.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> Content {
        Content::new(text.to_owned()).unwrap()
    }

    #[test]
    fn a_content_has_one_to_ten_thousand_characters_and_no_control_characters() {
        let longest = "ä".repeat(MAX_CONTENT);
        for good in ["x", " \n x", "\t\r\n.", "\u{2067}ש\u{2069}", "👩‍🚀", &longest] {
            assert_eq!(content(good).as_str(), good);
        }
        let too_long = "ä".repeat(MAX_CONTENT + 1);
        for bad in [
            "",
            " ",
            "\n\t\u{2003}",
            "\u{200b}\u{feff}",
            "a\0b",
            "a\u{1b}b",
            &too_long,
        ] {
            assert!(Content::new(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_excerpt_is_the_beginning_on_one_line() {
        assert_eq!(content("  What\nis\r\n\tthis? ").excerpt(), "What is this?");
        assert_eq!(content("a\u{202e}b \u{2066}c").excerpt(), "ab c");
        let exactly = "x".repeat(MAX_EXCERPT);
        assert_eq!(content(&exactly).excerpt(), exactly);
    }

    #[test]
    fn an_excerpt_ends_between_characters_within_its_limit() {
        for text in [
            "ä".repeat(MAX_EXCERPT + 1),
            "👩‍🚀 ".repeat(100),
            format!("{} x", "y".repeat(MAX_EXCERPT)),
            format!("{} zz", "y".repeat(MAX_EXCERPT - 1)),
        ] {
            let excerpt = content(&text).excerpt();
            assert!(excerpt.ends_with('…'), "{excerpt}");
            assert!(excerpt.chars().count() <= MAX_EXCERPT, "{excerpt}");
        }
    }
}
