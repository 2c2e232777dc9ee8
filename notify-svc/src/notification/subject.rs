//! A subject: one line of bounded length, whatever it was made of.

use serde::Serialize;

/// Characters of a subject at most.
const LONGEST: usize = 200;

/// What a mail is about. It has no control characters, so it cannot begin another header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Subject(String);

impl Subject {
    /// Makes a subject of any text: what is no printing character, line breaks among
    /// them, becomes a space, spaces in a row become one, and what is too long is cut.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let plain = text.replace(|c: char| c.is_control() || is_format(c), " ");
        let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.chars().count() <= LONGEST {
            return Self(line);
        }
        let cut: String = line.chars().take(LONGEST - 1).collect();
        Self(format!("{}…", cut.trim_end()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Marks that turn the direction of text around, with which one text can look like another.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_cannot_begin_another_header() {
        let subject = Subject::new("Task\r\nBcc: eve@example.com\n\n<b>\0\u{2028}\u{202E}x");
        assert_eq!(subject.as_str(), "Task Bcc: eve@example.com <b> x");
    }

    #[test]
    fn a_subject_of_ten_thousand_characters_is_cut() {
        let subject = Subject::new(&"ü".repeat(10_000));
        assert_eq!(subject.as_str().chars().count(), LONGEST);
        assert!(subject.as_str().ends_with("ü…"));
        let exact = "x".repeat(LONGEST);
        assert_eq!(Subject::new(&exact).as_str(), exact);
    }
}
