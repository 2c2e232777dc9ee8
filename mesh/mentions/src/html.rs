//! The text in a block of HTML: what is outside of tags, comments and elements that are not shown or
//! are code.

use std::ops::Range;

/// Elements whose content is no text for readers, or code.
const NO_TEXT: [&str; 6] = ["script", "style", "textarea", "title", "pre", "code"];

/// The parts of `block` in `source` that are text, in order. What is not closed extends to the end
/// of the block.
pub(super) fn texts(source: &str, block: Range<usize>) -> Vec<Range<usize>> {
    let end = block.end;
    let (mut texts, mut from) = (Vec::new(), block.start);
    let mut at = from;
    while let Some(found) = source[at..end].find('<') {
        let tag = at + found;
        let Some(length) = markup(&source[tag..end]) else {
            at = tag + 1;
            continue;
        };
        texts.push(from..tag);
        from = tag + length;
        at = from;
    }
    texts.push(from..end);
    texts.retain(|text| !text.is_empty());
    texts
}

/// The length of the markup at the start of `html`, with the content that is no text; `None` if `<`
/// is a character of the text.
fn markup(html: &str) -> Option<usize> {
    let until = |end: &str| html.find(end).map_or(html.len(), |at| at + end.len());
    for (begin, end) in [
        ("<!--", "-->"),
        ("<?", "?>"),
        ("<![CDATA[", "]]>"),
        ("<!", ">"),
    ] {
        if html.starts_with(begin) {
            return Some(until(end));
        }
    }
    let name = &html[1..];
    let is_end = name.starts_with('/');
    let name = name.trim_start_matches('/');
    let length = name.find(|c: char| !c.is_ascii_alphanumeric());
    let name = name[..length.unwrap_or(name.len())].to_ascii_lowercase();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let tag = tag_length(html);
    if is_end || !NO_TEXT.contains(&name.as_str()) {
        return Some(tag);
    }
    // Its end tag is the next piece of markup.
    let content = &html[tag..];
    let is_end_tag = |at: &usize| {
        let end = content.get(at + "</".len()..).unwrap_or_default();
        let end = end.get(..name.len());
        end.is_some_and(|end| end.eq_ignore_ascii_case(&name))
    };
    let mut ends = content.match_indices("</").map(|(at, _)| at);
    Some(tag + ends.find(is_end_tag).unwrap_or(content.len()))
}

/// The length of the tag at the start of `html`. `>` in a quoted value does not end it.
fn tag_length(html: &str) -> usize {
    let mut quote = None;
    for (at, c) in html.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '>' => return at + 1,
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
    }
    html.len()
}
