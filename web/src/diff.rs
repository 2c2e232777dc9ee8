//! What changed between two texts, and JSON as people read it.

use std::time::Duration;

use maud::{Markup, html};
use serde_json::value::RawValue;
use similar::{ChangeTag, TextDiff};

/// How long lines are compared. After that the rest counts as replaced.
const LONGEST: Duration = Duration::from_millis(100);

/// Unchanged lines around each change.
const AROUND: usize = 3;

/// The lines that were removed and added, with a few lines around them.
pub(crate) fn lines(old: &str, new: &str) -> Markup {
    let diff = TextDiff::configure().timeout(LONGEST).diff_lines(old, new);
    let groups = diff.grouped_ops(AROUND);
    html! {
        @if groups.is_empty() { p.empty { "Nothing." } }
        @for group in &groups {
            pre.diff dir="auto" {
                @for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                    @let line = change.value().trim_end_matches(['\r', '\n']);
                    @match change.tag() {
                        ChangeTag::Delete => { del { "− " (line) } "\n" },
                        ChangeTag::Insert => { ins { "+ " (line) } "\n" },
                        ChangeTag::Equal => { "  " (line) "\n" },
                    }
                }
            }
        }
    }
}

/// JSON with a line for each value. Its values stay as they are written, and so does what is no JSON.
pub(crate) fn indented(text: &str) -> String {
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return text.to_owned();
    }
    let (mut out, mut depth, mut in_string, mut escaped) = (String::new(), 0, false, false);
    // Within a text they are escaped.
    let between = |c: &char| !matches!(c, '\n' | '\r' | '\t');
    let mut rest = text.chars().filter(between).peekable();
    while let Some(c) = rest.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while rest.next_if_eq(&' ').is_some() {}
                if let Some(end) = rest.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            ' ' => {}
            _ => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_gets_lines_and_keeps_its_values() {
        let text =
            r#"{"a": [1.00, 12345678901234567890123], "b":{ },"c\"{":"x, y: \\" , "d": [] }"#;
        let shown = indented(text);
        let expected = r#"{
  "a": [
    1.00,
    12345678901234567890123
  ],
  "b": {},
  "c\"{": "x, y: \\",
  "d": []
}"#;
        assert_eq!(shown, expected);
        assert_eq!(indented(&shown), expected);
        assert_eq!(indented("{not json"), "{not json");
    }

    #[test]
    fn a_change_is_shown_with_the_lines_around_it() {
        let old: String = (0..20).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 9\n", "<b>\n");
        let shown = lines(&old, &new).into_string();
        assert!(shown.contains("<del>− line 9</del>\n<ins>+ &lt;b&gt;</ins>\n  line 10\n"));
        assert!(shown.contains("  line 6\n") && !shown.contains("line 5\n"));
        assert!(lines(&old, &old).into_string().contains("Nothing."));
    }
}
