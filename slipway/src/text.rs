//! Text of others made safe for a terminal.

use std::fmt::Write as _;

/// `text` on one line, with every character that [acts on a terminal](acts_on_terminal)
/// written out, such as `\u{1b}`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if acts_on_terminal(character) {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// The same, but line breaks stay.
pub(crate) fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

/// Whether `character` moves the cursor, changes colours or turns the reading direction.
pub(crate) fn acts_on_terminal(character: char) -> bool {
    let breaks_lines = matches!(character, '\u{2028}' | '\u{2029}');
    let turns_direction = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || breaks_lines || turns_direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_written_out() {
        assert_eq!(escape("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escape("a\r\n\tb"), "a\\r\\n\\tb");
        assert_eq!(escape("\u{9b}\u{7f}\u{202e}"), "\\u{9b}\\u{7f}\\u{202e}");
    }

    #[test]
    fn ordinary_text_of_any_language_stays() {
        let text = "Grüße, 世界, «Build \"images\" \\ 'x'» 🚢";
        assert_eq!(escape(text), text);
    }

    #[test]
    fn line_breaks_can_be_kept() {
        assert_eq!(escape_lines("a\n\x07b"), "a\n\\u{7}b");
    }
}
