//! Which characters foreign text may contain, and how it is displayed where characters have an
//! effect.
//!
//! Names and titles are displayed within sentences, subjects and tables, so they must be one line
//! of visible text ([`check_line`], [`is_blank`]). Descriptions and messages may have line breaks,
//! tabs and any direction marks ([`check_lines`]). Text that cannot be refused (an alert of another
//! program) or was stored before these rules is cleaned when it is accepted or displayed
//! ([`clean_line`], [`clean_lines`]).
//!
//! Keyboards send some characters in several forms; [`normal`] converts them to one. Names and
//! titles are stored in this form ([`kept_line`]), and compared without regard to the kind and
//! number of blanks ([`comparable_line`]).
//!
//! Single-character direction marks (U+200E, U+200F, U+061C) and joiners are allowed everywhere:
//! Arabic, Hebrew and many other scripts, and emoji, need them. Refused in a line are the
//! embeddings, overrides and isolates: they affect text beyond their own, and can make `gpj.exe`
//! look like `exe.jpg`.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// The message of [`check_line`].
const NOT_A_LINE: &str = "must be one line, without control characters and marks that change \
    the direction of text";
/// The message of [`check_lines`].
const NOT_LINES: &str = "must not contain control characters other than line breaks and tabs";
/// The message of both for a noncharacter.
const NO_CHARACTER: &str = "must not contain code points that are no characters, such as U+FFFE";

/// Parts of the patterns below: the content of a character class.
macro_rules! class {
    (not_in_line) => {
        r"\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069\uFDD0-\uFDEF\uFFFE\uFFFF"
    };
    (not_in_lines) => {
        r"\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F\uFDD0-\uFDEF\uFFFE\uFFFF"
    };
    (invisible_in_line) => {
        concat!(
            r" \u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180B-\u180F\u2000-\u200F",
            r"\u202F\u205F-\u2065\u206A-\u206F\u2800\u3000\u3164\uFE00-\uFE0F\uFEFF\uFFA0",
            r"\uFFF0-\uFFFB"
        )
    };
    (invisible_in_lines) => {
        concat!(
            r"\t\n\r\u2028-\u202E\u2066-\u2069",
            class!(invisible_in_line)
        )
    };
}

/// [`check_line`] as a regular expression (ECMA 262, for characters of the basic plane).
pub const LINE_PATTERN: &str = concat!("^[^", class!(not_in_line), "]*$");

/// The same for a line that is not blank.
pub const VISIBLE_LINE_PATTERN: &str = concat!(
    "^[",
    class!(invisible_in_line),
    "]*[^",
    class!(not_in_line),
    class!(invisible_in_line),
    "][^",
    class!(not_in_line),
    "]*$"
);

/// [`check_lines`] as a regular expression, in the same way.
pub const LINES_PATTERN: &str = concat!("^[^", class!(not_in_lines), "]*$");

/// The same for text that is not blank.
pub const VISIBLE_LINES_PATTERN: &str = concat!(
    "^[",
    class!(invisible_in_lines),
    "]*[^",
    class!(not_in_lines),
    class!(invisible_in_lines),
    "][^",
    class!(not_in_lines),
    "]*$"
);

/// Whether `text` is invisible to a reader: it is empty, or has only characters that draw nothing.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// Words in a sentence, as alternatives: `A, B or C`.
#[must_use]
pub fn alternatives(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// Checks a text that must be one line. It may be blank.
///
/// # Errors
/// What it must be, as the continuation of the field's name.
pub fn check_line(text: &str) -> Result<(), &'static str> {
    if text.contains(is_noncharacter) {
        return Err(NO_CHARACTER);
    }
    if text.contains(is_not_in_line) {
        return Err(NOT_A_LINE);
    }
    Ok(())
}

/// Checks a text that may have several lines. It may be blank.
///
/// # Errors
/// What it must be, as the continuation of the field's name.
pub fn check_lines(text: &str) -> Result<(), &'static str> {
    if text.contains(is_noncharacter) {
        return Err(NO_CHARACTER);
    }
    if text.contains(is_not_in_lines) {
        return Err(NOT_LINES);
    }
    Ok(())
}

/// Converts to NFC, the single form of characters that keyboards send in several: `é` as one
/// character or as two.
#[must_use]
pub fn normal(text: &str) -> String {
    text.nfc().collect()
}

/// A name or title as it is stored: in NFC, without blanks and other characters that draw nothing
/// at its ends. Direction marks, joiners and variation selectors stay: they change how the
/// characters beside them are drawn.
#[must_use]
pub fn kept_line(text: &str) -> String {
    normal(text.trim_matches(|c| is_invisible(c) && !acts_on_others(c)))
}

/// The form in which two names or titles are compared: each run of blanks counts as one space.
#[must_use]
pub fn comparable_line(text: &str) -> String {
    let line = kept_line(text);
    let words: Vec<_> = line.split_whitespace().collect();
    words.join(" ")
}

/// Makes `text` one line that [`check_line`] accepts: removes characters that change direction,
/// replaces line breaks and control characters by spaces, and trims the ends.
#[must_use]
pub fn clean_line(text: &str) -> String {
    let line: String = text
        .chars()
        .filter(|c| !changes_direction(*c))
        .map(|c| if is_not_in_line(c) { ' ' } else { c })
        .collect();
    line.trim().to_owned()
}

/// Removes from `text` control characters except line breaks and tabs, and characters that change
/// direction: for programs that interpret them, such as mail readers. Every line break becomes a
/// line feed.
#[must_use]
pub fn clean_lines(text: &str) -> String {
    let is_changed = |c| c == '\r' || is_not_in_lines(c) || changes_direction(c);
    if !text.contains(is_changed) {
        return text.to_owned();
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars()
        .filter(|c| !is_not_in_lines(*c) && !changes_direction(*c))
        .collect()
}

/// `text` as one line, with each character that [`check_line`] refuses escaped, such as `\u{202e}`:
/// to display text because it is wrong.
#[must_use]
pub fn written_out(text: &str) -> Cow<'_, str> {
    if check_line(text).is_ok() {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_not_in_line(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out.into()
}

/// `text` without control characters except line breaks and tabs: [`check_lines`] accepts it.
#[must_use]
pub fn without_controls(text: String) -> String {
    match check_lines(&text) {
        Ok(()) => text,
        Err(_) => text.replace(is_not_in_lines, ""),
    }
}

/// At most `longest` characters of a text, with an ellipsis if it was longer.
#[must_use]
pub fn shortened(text: &str, longest: usize) -> Cow<'_, str> {
    if text.chars().count() <= longest {
        return text.into();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end()).into()
}

/// Which of `names` was probably meant by `name`, which is none of them. Letter case does not count.
#[must_use]
pub fn meant_by<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this likeness (1 is equal) a suggestion confuses more than it helps.
    const LIKENESS: f64 = 0.85;
    /// Characters that are compared: the time grows with their square.
    const COMPARED: usize = 100;
    let name = shortened(name, COMPARED).to_lowercase();
    names
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&name, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Whether `c` begins or ends an embedding, an override or an isolate.
#[must_use]
pub fn changes_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_not_in_line(c: char) -> bool {
    is_noncharacter(c)
        || c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}')
        || changes_direction(c)
}

fn is_not_in_lines(c: char) -> bool {
    is_noncharacter(c) || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

/// Whether `c` is one of the 66 code points that Unicode will never give to a character: programs
/// use them for themselves.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{FDD0}'..='\u{FDEF}') || u32::from(c) & 0xFFFE == 0xFFFE
}

/// Whether `c` is invisible and acts on the characters beside it: joiners, direction marks, variation
/// selectors, and the tags that end the emoji of some flags.
fn acts_on_others(c: char) -> bool {
    matches!(c,
        '\u{61C}' | '\u{180B}'..='\u{180D}' | '\u{180F}' | '\u{200C}'..='\u{200F}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{E0020}'..='\u{E007F}' | '\u{E0100}'..='\u{E01EF}')
}

/// Whether `c` is invisible by itself: white space, control characters, what Unicode calls default
/// ignorable, and letters without a glyph.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D159}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    /// Characters near every edge of the rules, and others.
    fn any_text() -> impl Strategy<Value = String> {
        let edge = prop::sample::select(vec![
            ' ', '\t', '\n', '\r', '\0', '\x1b', '\x7f', '\u{80}', '\u{9b}', '\u{a0}', '\u{ad}',
            '\u{34f}', '\u{61c}', '\u{180e}', '\u{200b}', '\u{200d}', '\u{200e}', '\u{2028}',
            '\u{2029}', '\u{202a}', '\u{202e}', '\u{202f}', '\u{2060}', '\u{2066}', '\u{2069}',
            '\u{206a}', '\u{fdd0}', '\u{fffe}', '\u{2800}', '\u{3000}', '\u{3164}', '\u{fe0f}',
            '\u{feff}', '\u{fffc}', 'a', 'é', '世', 'ש', '🚢',
        ]);
        prop::collection::vec(prop_oneof![edge, any::<char>()], 0..12)
            .prop_map(|characters| characters.into_iter().collect())
    }

    /// Whether a pattern, which knows only the basic plane, can judge the text.
    fn in_basic_plane(text: &str) -> bool {
        let is_judged = |c| c <= '\u{FFFF}' || !(is_invisible(c) || is_noncharacter(c));
        text.chars().all(is_judged)
    }

    #[test]
    fn invisible_text_is_blank() {
        for text in [
            "",
            " ",
            "\n\t",
            "\u{200b}",
            "\u{feff}",
            "\u{3164}",
            "\u{ad}",
            "\u{2800}",
            "\u{2060}",
            "\u{180e}",
            "\u{e0020}",
            "\u{202e}\u{200f}",
            "\u{fe0f}",
            "\u{a0}\u{2003}\u{3000}",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["a", ".", "世", "👩‍🚀", "\u{200f}א", "😀\u{fe0f}", "\u{fffd}"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn a_line_is_one_line_without_overrides() {
        for text in [
            "",
            "Grüße, 世界 🚢",
            "שלום\u{200f}",
            "a\u{200d}b",
            "C:\\x \"y\"",
        ] {
            assert_eq!(check_line(text), Ok(()), "{text:?}");
        }
        for c in [
            '\n', '\t', '\r', '\0', '\x1b', '\x7f', '\u{85}', '\u{9b}', '\u{2028}',
        ] {
            assert!(check_line(&format!("a{c}b")).is_err(), "{c:?}");
        }
        for c in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            assert!(check_line(&format!("a{c}b")).is_err(), "{c:?}");
        }
    }

    #[test]
    fn noncharacters_are_refused() {
        for c in [
            '\u{fdd0}',
            '\u{fdef}',
            '\u{fffe}',
            '\u{ffff}',
            '\u{1fffe}',
            '\u{10ffff}',
        ] {
            let text = format!("a{c}b");
            assert_eq!(check_line(&text), Err(NO_CHARACTER), "{c:?}");
            assert_eq!(check_lines(&text), Err(NO_CHARACTER), "{c:?}");
            assert_eq!(without_controls(text), "ab");
        }
        assert_eq!(check_line("\u{fffd}\u{fdf0}\u{fdcf}"), Ok(()));
    }

    #[test]
    fn lines_may_have_breaks_tabs_and_direction() {
        assert_eq!(check_lines("a\r\n\tb \u{2067}ש\u{2069} \u{202e}"), Ok(()));
        for c in [
            '\0', '\x07', '\x1b', '\x0b', '\x0c', '\x7f', '\u{85}', '\u{9b}',
        ] {
            assert!(check_lines(&format!("a{c}b")).is_err(), "{c:?}");
        }
    }

    #[test]
    fn cleaned_text_keeps_what_can_be_read() {
        assert_eq!(
            clean_line(" Disk\r\n\x1b[31mfull\u{202e}! "),
            "Disk   [31mfull!"
        );
        assert_eq!(
            clean_lines("a\r\n\t\x1b[2Jb\u{202e}c\u{9b}\r.\r\r\n"),
            "a\n\t[2Jbc\n.\n\n"
        );
    }

    #[test]
    fn a_line_is_stored_in_one_form() {
        assert_eq!(normal("Cafe\u{301} "), "Café ");
        assert_eq!(kept_line(" \u{a0}Cafe\u{301}  au lait "), "Café  au lait");
        assert_eq!(kept_line("\u{feff} Spring\u{feff}"), "Spring");
        assert_eq!(kept_line("\u{2060}Spring \u{200b}\u{ad}"), "Spring");
        for acting in [
            "😀\u{fe0f}",
            "\u{200f}שלום\u{200f}",
            "نمی\u{200c}",
            "🏴\u{e0067}\u{e007f}",
        ] {
            assert_eq!(kept_line(acting), acting);
        }
        assert_eq!(comparable_line("\u{200b}Spring  7\u{feff}"), "Spring 7");
        assert_eq!(
            comparable_line("\tCafe\u{301}  au\u{a0}lait "),
            "Café au lait"
        );
        assert_eq!(comparable_line(" "), "");
    }

    #[test]
    fn a_text_is_shortened_by_characters() {
        assert_eq!(shortened("世界", 2), "世界");
        assert_eq!(shortened("世界 🚢", 3), "世界…");
        assert_eq!(shortened("abcd", 3), "ab…");
    }

    proptest! {
        #[test]
        fn cleaned_text_passes_the_check(text in any_text()) {
            let line = clean_line(&text);
            prop_assert_eq!(check_line(&line), Ok(()));
            prop_assert_eq!(clean_line(&line), line.clone());
            let lines = clean_lines(&text);
            prop_assert_eq!(check_lines(&lines), Ok(()));
            prop_assert!(!lines.contains(changes_direction));
        }

        #[test]
        fn text_that_passes_is_cleaned_to_itself(text in any_text()) {
            if check_line(&text).is_ok() {
                prop_assert_eq!(clean_line(&text), text.trim());
            }
            let changed = |c| changes_direction(c) || c == '\r';
            if check_lines(&text).is_ok() && !text.contains(changed) {
                prop_assert_eq!(clean_lines(&text), text);
            }
        }

        #[test]
        fn the_patterns_agree_with_the_checks(text in any_text()) {
            let matches = |pattern| Regex::new(pattern).unwrap().is_match(&text);
            if in_basic_plane(&text) {
                prop_assert_eq!(matches(LINE_PATTERN), check_line(&text).is_ok());
                prop_assert_eq!(matches(LINES_PATTERN), check_lines(&text).is_ok());
                let visible = !is_blank(&text);
                let line = check_line(&text).is_ok() && visible;
                prop_assert_eq!(matches(VISIBLE_LINE_PATTERN), line);
                let lines = check_lines(&text).is_ok() && visible;
                prop_assert_eq!(matches(VISIBLE_LINES_PATTERN), lines);
            }
        }
    }
}
