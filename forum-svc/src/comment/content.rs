//! What a comment may say: 1 to 10,000 characters, kept to the byte.

/// Characters of a comment.
pub const MAX_CONTENT: usize = 10_000;

/// Characters of an excerpt.
pub const MAX_EXCERPT: usize = 200;

/// A text within its limits. It is Markdown by convention; nothing is done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(String);

impl Content {
    /// A text to be posted.
    ///
    /// # Errors
    /// What is wrong, continuing a sentence that begins with the field's name.
    pub fn new(text: String) -> Result<Self, &'static str> {
        if text.trim().is_empty() {
            return Err("must not be blank");
        }
        if text.contains('\0') {
            return Err("must not contain NUL characters");
        }
        if text.chars().count() > MAX_CONTENT {
            return Err("must have at most 10,000 characters");
        }
        Ok(Self(text))
    }

    /// A text that was within its limits when it was stored.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How it begins: at most [`MAX_EXCERPT`] characters, on one line; an ellipsis stands
    /// for what is left out.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let mut line = String::new();
        let mut length = 0;
        for word in self.0.split(|c: char| c.is_whitespace() || c.is_control()) {
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
    let kept: String = line.chars().take(MAX_EXCERPT - 1).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> Content {
        Content::new(text.to_owned()).unwrap()
    }

    #[test]
    fn a_content_has_one_to_ten_thousand_characters_and_no_nul() {
        let longest = "ä".repeat(MAX_CONTENT);
        for good in ["x", " \n x", "\u{1}", "👩‍🚀", &longest] {
            assert_eq!(content(good).as_str(), good);
        }
        let too_long = "ä".repeat(MAX_CONTENT + 1);
        for bad in ["", " ", "\n\t\u{2003}", "a\0b", &too_long] {
            assert!(Content::new(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_excerpt_is_the_beginning_on_one_line() {
        assert_eq!(content("  What\nis\r\n\tthis? ").excerpt(), "What is this?");
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
