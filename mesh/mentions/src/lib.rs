//! Finds the mentions in a text in Markdown: `@username`.
//!
//! The forum tells the mentioned, and the pages mark the mentions: both go by this.
//!
//! | where | |
//! | --- | --- |
//! | after a space, a punctuation mark, a letter of a script that writes no spaces (`请@grace看`) | a mention |
//! | after an ASCII letter or digit (`ada@example.com`), a slash, another sign | none |
//! | in the text of a link (`[@grace](…)`), which readers see | a mention |
//! | in the text of HTML (`<div>@grace</div>`), which readers see | a mention |
//! | in code, an HTML tag or comment, the target of a link, an address in angle brackets, a bare URL | none |
//! | escaped: `\@grace`, `&#64;grace` | none |
//!
//! A name ends before the first character that names cannot have. If that character continues
//! the word, as in `@types/node`, `@ada@example.com` or `@adaë`, the text is not a mention. A
//! slash between two mentions does not continue the word. Full stops and hyphens at the end belong
//! to the sentence.
//!
//! Names are read from the source, because Markdown takes the name `_ada_` for emphasis.

mod html;

use std::{collections::BTreeSet, iter, ops::Range};

use pulldown_cmark::{Event, LinkType, Parser, Tag, TagEnd};
use unicode_normalization::char::is_combining_mark;

/// Mentioned names that count in one text: the first ones.
pub const MAX_MENTIONS: usize = 20;

/// Lengths of usernames.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=40;

/// The signs that begin a mention: ASCII, and the full-width sign of Chinese, Japanese and Korean
/// keyboards.
const SIGNS: [char; 2] = ['@', '＠'];

/// A mention of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The name in lower case.
    pub name: String,
    /// Where it stands in the source, with its sign.
    pub at: Range<usize>,
}

/// The mentioned names in lower case and in order, without duplicates: the first
/// [`MAX_MENTIONS`].
#[must_use]
pub fn mentioned(source: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = mentions(source).into_iter().map(|mention| mention.name);
    names.filter(|name| seen.insert(name.clone())).collect()
}

/// The mentions in a source, in order, until [`MAX_MENTIONS`] different names are found.
#[must_use]
pub fn mentions(source: &str) -> Vec<Mention> {
    if !source.contains(SIGNS) {
        return Vec::new();
    }
    let (mut mentions, mut seen) = (Vec::new(), BTreeSet::new());
    let mut reader = Reader::new(source);
    for (event, at) in Parser::new(source).into_offset_iter() {
        for mention in reader.read(&event, at) {
            seen.insert(mention.name.clone());
            mentions.push(mention);
            if seen.len() == MAX_MENTIONS {
                return mentions;
            }
        }
    }
    mentions
}

/// Reads the Markdown events of a source in order.
struct Reader<'a> {
    source: &'a str,
    /// End of the last code block or autolink: text before it is ignored.
    no_text_until: usize,
    /// End of the last mention.
    read_until: usize,
    /// End of the text of each open emphasis: a name does not continue beyond it.
    limits: Vec<usize>,
    /// The bare URLs found so far.
    urls: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            no_text_until: 0,
            read_until: 0,
            limits: Vec::new(),
            urls: Vec::new(),
        }
    }

    /// The mentions in one event.
    fn read(&mut self, event: &Event<'_>, at: Range<usize>) -> Vec<Mention> {
        match event {
            Event::Start(
                Tag::CodeBlock(_)
                | Tag::Link {
                    link_type: LinkType::Autolink | LinkType::Email,
                    ..
                },
            ) => self.no_text_until = at.end,
            // Markdown hands on the lines of a block of HTML, which may be parts of tags.
            Event::Start(Tag::HtmlBlock) => {
                let texts = html::texts(self.source, at);
                return texts.into_iter().flat_map(|at| self.in_text(at)).collect();
            }
            Event::Start(Tag::Emphasis) => self.open(&at, "_".len()),
            Event::Start(Tag::Strong) => self.open(&at, "__".len()),
            Event::End(TagEnd::Emphasis | TagEnd::Strong) => {
                self.limits.pop();
            }
            Event::Text(_) if at.start >= self.no_text_until => return self.in_text(at),
            _ => {}
        }
        Vec::new()
    }

    /// Opens an emphasis. If it begins within a name, its marks belong to the name and it sets no
    /// limit.
    fn open(&mut self, at: &Range<usize>, marks: usize) {
        let limit = self.limit();
        let is_name = at.start < self.read_until;
        self.limits.push(match is_name {
            true => limit,
            false => limit.min(at.end - marks),
        });
    }

    fn limit(&self) -> usize {
        self.limits.last().copied().unwrap_or(self.source.len())
    }

    fn in_text(&mut self, at: Range<usize>) -> Vec<Mention> {
        let source = self.source;
        self.find_urls(&at);
        let mut mentions = Vec::new();
        for (sign, mark) in source[at.clone()].match_indices(SIGNS) {
            let sign = at.start + sign;
            let before = &source[..sign];
            let is_listed = self.read_until > 0 && self.read_until + "/".len() == sign;
            let in_word = before.ends_with(|c: char| c.is_ascii_alphanumeric())
                || (before.ends_with('/') && !is_listed);
            // After another sign, or after the name in `@ada_@example.com`.
            let is_second = before.trim_end_matches(of_name).ends_with(SIGNS);
            let in_url = || self.urls.iter().any(|url| url.contains(&sign));
            if in_word || is_second || is_escaped(before) || in_url() {
                continue;
            }
            let from = sign + mark.len();
            // With malformed nesting an emphasis may end before the sign: then there is no name.
            let rest = source.get(from..self.limit()).unwrap_or_default();
            if let Some((name, length)) = name(rest) {
                self.read_until = from + length;
                let end = source[..self.read_until].trim_end_matches(['.', '-']).len();
                mentions.push(Mention {
                    name,
                    at: sign..end,
                });
            }
        }
        mentions
    }

    /// Records the bare URLs that begin in a text. A URL may extend over several Markdown events.
    fn find_urls(&mut self, at: &Range<usize>) {
        let text = &self.source[at.clone()];
        let schemes = text
            .match_indices("://")
            .filter(|(start, _)| text[..*start].ends_with(|c: char| c.is_ascii_alphanumeric()));
        let webs = text
            .match_indices("www.")
            .filter(|(start, _)| !text[..*start].ends_with(|c: char| c.is_ascii_alphanumeric()));
        for (start, _) in schemes.chain(webs) {
            let start = at.start + start;
            if self.urls.last().is_some_and(|url| url.contains(&start)) {
                continue;
            }
            let length = self.source[start..].find(ends_url);
            let end = length.map_or(self.source.len(), |length| start + length);
            self.urls.push(start..end);
        }
    }
}

/// Whether the next character is escaped: `before` ends with an odd number of backslashes.
fn is_escaped(before: &str) -> bool {
    (before.len() - before.trim_end_matches('\\').len()) % 2 == 1
}

/// The name at the start of `rest`, in lower case, and its length in bytes in `rest`.
fn name(rest: &str) -> Option<(String, usize)> {
    let (mut name, mut length, mut next) = (String::new(), 0, None);
    let mut characters = unescaped(rest);
    for (end, c) in characters.by_ref() {
        if !of_name(c) {
            next = Some(c);
            break;
        }
        name.push(c.to_ascii_lowercase());
        length = end;
    }
    let is_other = match next {
        Some('/') => !characters.next().is_some_and(|(_, c)| SIGNS.contains(&c)),
        Some(c) => SIGNS.contains(&c) || continues_word(c),
        None => false,
    };
    if is_other {
        return None;
    }
    name.truncate(name.trim_end_matches(['.', '-']).len());
    LENGTHS.contains(&name.len()).then_some((name, length))
}

/// The characters of a source without escapes (`\_` is `_`), each with the offset of its end.
fn unescaped(source: &str) -> impl Iterator<Item = (usize, char)> {
    let mut rest = source.char_indices().peekable();
    iter::from_fn(move || {
        let (at, c) = rest.next()?;
        let escaped = match c {
            '\\' => rest.next_if(|(_, next)| next.is_ascii_punctuation()),
            _ => None,
        };
        let (at, c) = escaped.unwrap_or((at, c));
        Some((at + c.len_utf8(), c))
    })
}

fn of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Whether a non-ASCII character continues the word before it: a letter of an alphabet with upper
/// and lower case (Latin, Greek, Cyrillic, …), or an accent. Other scripts write words and
/// suffixes next to a name without a space.
fn continues_word(c: char) -> bool {
    !c.is_ascii() && (c.is_lowercase() || c.is_uppercase() || is_combining_mark(c))
}

/// Whether a URL in a text ends before `c`.
fn ends_url(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_whitespace() || c.is_ascii_control() || "<>\"`".contains(c),
        false => !continues_word(c),
    }
}

#[cfg(test)]
mod tests;
