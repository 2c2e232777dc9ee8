//! The subject of a mail: one line of bounded length.

use serde::{Deserialize, Serialize};
use slipway_runtime::text::clean_line;

/// Maximum length in characters.
const LONGEST: usize = 200;

/// The subject of a mail. It has no control characters, so it cannot inject a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

impl Subject {
    /// Makes a subject of any text. Control characters and line breaks become spaces, repeated
    /// spaces become one, characters that change the direction of text are removed, and a long text
    /// is truncated.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let line = clean_line(text);
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_cannot_inject_a_header() {
        let subject = Subject::new("Task\r\nBcc: eve@example.com\n\n<b>\0\u{2028}\u{202E}x");
        assert_eq!(subject.as_str(), "Task Bcc: eve@example.com <b> x");
    }

    #[test]
    fn a_long_subject_is_truncated() {
        let subject = Subject::new(&"ü".repeat(10_000));
        assert_eq!(subject.as_str().chars().count(), LONGEST);
        assert!(subject.as_str().ends_with("ü…"));
        let exact = "x".repeat(LONGEST);
        assert_eq!(Subject::new(&exact).as_str(), exact);
    }
}
