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

/// JSON text on one line with every such character as JSON writes it: it stands for the
/// same. Within JSON they stand in strings only, but for line breaks and tabs between its
/// parts, which become spaces; and none of them is beyond four digits.
pub(crate) fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\n' | '\r' | '\t' => out.push(' '),
            _ if acts_on_terminal(character) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out
}

/// Whether `character` moves the cursor, changes colours or turns the reading direction.
fn acts_on_terminal(character: char) -> bool {
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
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({"a\u{9b}": "b\u{202e}\u{7f}\n\t\u{1b}é🚢"});
        for json in [
            value.to_string(),
            serde_json::to_string_pretty(&value)
                .unwrap()
                .replace("  ", "\t"),
        ] {
            let shown = escape_json(&json);
            assert!(!shown.contains(acts_on_terminal), "{shown}");
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(read, value);
        }
    }

    #[test]
    fn line_breaks_can_be_kept() {
        assert_eq!(escape_lines("a\n\x07b"), "a\n\\u{7}b");
    }
}
