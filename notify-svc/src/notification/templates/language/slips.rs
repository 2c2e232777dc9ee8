//! What to write instead of a common slip: the parser only says what it did not expect.

use minijinja::Error;

/// Words of the language, which has them in lower case only.
const WORDS: &[&str] = &[
    "and", "block", "elif", "else", "endblock", "endfor", "endif", "endwith", "extends", "for",
    "if", "in", "include", "is", "not", "or", "set", "with",
];

/// How a tag begins, how it ends where the parser stopped, and what to write. The first that
/// fits counts.
const SLIPS: &[(&str, &[&str], &str)] = &[
    ("{{{", &[""], "write two braces on each side: {{ name }}"),
    (
        "",
        &["“", "”", "„", "«", "»", "‘", "’", "‚"],
        "write straight quotes: \" or '",
    ),
    (
        "",
        &["\u{a0}"],
        "write a plain space instead of a no-break space",
    ),
    ("", &["–", "—", "−"], "write a plain minus: -"),
    ("{{ if ", &[""], "write {% if … %}"),
    ("{{ for ", &[""], "write {% for … %}"),
    ("", &["{% else if", "{% elseif", "{% elsif"], "write elif"),
    (
        "",
        &["{% end"],
        "write endif, endfor, endwith or endblock, in one word",
    ),
    (
        "",
        &[
            "{% elif",
            "{% else",
            "{% endif",
            "{% endfor",
            "{% endwith",
            "{% endblock",
        ],
        "there is no open tag that it can belong to",
    ),
    (
        "",
        &["{% foreach", "{% each", "{% while"],
        "write {% for item in list %}",
    ),
    ("", &["{% unless"], "write {% if not … %}"),
    ("", &["{% macro", "{% call"], "there are no macros"),
    ("{% if ", &[" then"], "leave out then"),
    ("{% set ", &["=="], "to give a name, write ="),
    ("{% with ", &["=="], "to give a name, write ="),
    ("", &["="], "to compare, write =="),
    ("", &["<>"], "write !="),
    ("", &["!"], "write not"),
    ("", &["&"], "write and"),
    ("", &["||"], "write or"),
    ("", &["?"], "write a if b else c"),
];

/// What to write instead, if the parser of `source` stopped at a slip that is known.
pub(super) fn advice(error: &Error, source: &str) -> Option<String> {
    if error.detail()?.starts_with("unexpected end of input") {
        return Some("end {{ with }}, {% with %}, and if with endif, for with endfor".to_owned());
    }
    let refused = error.range()?;
    // The range of a character that is not the language's is one byte.
    let end = source.ceil_char_boundary(refused.end);
    let (before, word) = source.get(..end)?.split_at_checked(refused.start)?;
    let lower = word.to_lowercase();
    if lower != word && WORDS.contains(&&*lower) {
        return Some(format!("write {lower}, in lower case"));
    }
    let begin = before.rfind("{{").max(before.rfind("{%"))?;
    let begin = before[..begin].trim_end_matches('{').len();
    let tag = &source[begin..end];
    let (opening, inside) = tag.split_at_checked(if tag.starts_with("{{{") { 3 } else { 2 })?;
    let inside: Vec<_> = inside
        .trim_start_matches(['-', '+'])
        .split_ascii_whitespace()
        .collect();
    let tag = format!("{opening} {}", inside.join(" "));
    let (_, _, advice) = SLIPS.iter().find(|(begins, ends, _)| {
        tag.starts_with(begins) && ends.iter().any(|end| tag.ends_with(end))
    })?;
    Some((*advice).to_owned())
}
