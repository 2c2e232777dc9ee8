//! Whom a comment mentions: `@username` in its text.
//!
//! Not in code (`` `@Override` ``), not in the middle of a word (`ada@example.com`), not in
//! what is no text (links, HTML). Full stops and hyphens at the end belong to the sentence.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Parser, Tag, TagEnd, TextMergeStream};

use super::Content;

/// Mentions that count: the first ones.
pub const MAX_MENTIONS: usize = 20;

/// Lengths of usernames.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=40;

/// The names that are mentioned, in lower case: each once, the first
/// [`MAX_MENTIONS`] of them, in their order.
#[must_use]
pub fn mentioned(content: &Content) -> Vec<String> {
    let text = content.as_str();
    if !text.contains('@') {
        return Vec::new();
    }
    let (mut names, mut seen) = (Vec::new(), BTreeSet::new());
    // In how many code blocks; they do not nest, but nothing here depends on that.
    let mut code = 0_usize;
    for event in TextMergeStream::new(Parser::new(text)) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code += 1,
            Event::End(TagEnd::CodeBlock) => code = code.saturating_sub(1),
            Event::Text(text) if code == 0 => {
                for name in in_text(&text) {
                    let name = name.to_lowercase();
                    if seen.insert(name.clone()) {
                        names.push(name);
                    }
                    if names.len() == MAX_MENTIONS {
                        return names;
                    }
                }
            }
            _ => {}
        }
    }
    names
}

fn in_text(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('@').filter_map(|(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '@' || of_name(c)) {
            return None;
        }
        let rest = &text[at + 1..];
        let end = rest.find(|c| !of_name(c)).unwrap_or(rest.len());
        // An address without its first part, or a name of another alphabet.
        if rest[end..].starts_with(|c: char| c == '@' || c.is_alphanumeric()) {
            return None;
        }
        let name = rest[..end].trim_end_matches(['.', '-']);
        LENGTHS.contains(&name.len()).then_some(name)
    })
}

fn of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        mentioned(&Content::new(text.to_owned()).unwrap())
    }

    #[test]
    fn names_are_found_where_a_person_would_see_them() {
        assert_eq!(names("@ada"), ["ada"]);
        assert_eq!(names("Ask @Ada, or (@grace.h)."), ["ada", "grace.h"]);
        assert_eq!(
            names("- @a_b-c\n- **@dev.1**\n\n> @eve!"),
            ["a_b-c", "dev.1", "eve"]
        );
        assert_eq!(names("well, @ada... and @bob-"), ["ada", "bob"]);
    }

    #[test]
    fn code_addresses_and_words_are_no_mentions() {
        for text in [
            "`@ada`",
            "```java\n@Override\n```",
            "    @indented",
            "ada@example.com",
            "<ada@example.com>",
            "@@ada",
            "@ada@example.com",
            "@ab",
            "@ ada",
            "@ädä",
            "<b title='@ada'>",
            "[text](https://example.com/@ada)",
        ] {
            assert_eq!(names(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_name_counts_once_and_only_so_many_count() {
        assert_eq!(names("@ada @ADA @ada"), ["ada"]);
        let crowd: String = (0..100).map(|n| format!("@user{n} ")).collect();
        let found = names(&crowd);
        assert_eq!(found.len(), MAX_MENTIONS);
        assert_eq!(found[19], "user19");
    }

    #[test]
    fn the_longest_and_oddest_contents_are_read_in_no_time() {
        let odd = ["@", "[", "*", "`", "> ", "@a_", "<"].map(|part| {
            let count = super::super::content::MAX_CONTENT / part.chars().count();
            part.repeat(count)
        });
        for text in odd {
            assert!(names(&text).len() <= 1);
        }
    }
}
