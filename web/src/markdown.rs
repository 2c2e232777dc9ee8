//! Texts in Markdown, as HTML that cannot do anything.
//!
//! Elements come from a short list and have no attributes of the text's choice, apart from links to
//! the web and to mail addresses. HTML in a text is shown as it is written. Pictures are links,
//! because loading one would tell another server who reads the text. A line break in a paragraph is
//! kept: that is how people write in a box.

use std::ops::Range;

use maud::{Markup, PreEscaped, Render as _, html};
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};
use slipway_mentions::mentions;

/// Addresses that a text may link to.
const SCHEMES: [&str; 3] = ["http://", "https://", "mailto:"];

/// Levels of quotations and lists that are shown as such. Deeper ones would leave a narrow screen.
const LEVELS: usize = 6;

/// A description or an answer.
pub(crate) fn text(source: &str) -> Markup {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    Writer::new(source, Vec::new()).write(options)
}

/// A comment. It is read exactly as the forum reads it to find the mentions, which are marked.
pub(crate) fn comment(source: &str) -> Markup {
    let mentions = mentions(source).into_iter().map(|mention| mention.at);
    Writer::new(source, mentions.collect()).write(Options::empty())
}

struct Writer<'a> {
    source: &'a str,
    /// The places of mentions, in order.
    mentions: Vec<Range<usize>>,
    out: String,
    /// Open quotations and lists, and whether each has an element.
    nested: Vec<bool>,
    /// Open links and pictures, and whether each has an element. Links do not nest.
    links: Vec<bool>,
    in_code: bool,
    in_table_head: bool,
}

impl<'a> Writer<'a> {
    fn new(source: &'a str, mentions: Vec<Range<usize>>) -> Self {
        Self {
            source,
            mentions,
            out: String::with_capacity(source.len() + source.len() / 4),
            nested: Vec::new(),
            links: Vec::new(),
            in_code: false,
            in_table_head: false,
        }
    }

    fn write(mut self, options: Options) -> Markup {
        for (event, at) in Parser::new_ext(self.source, options).into_offset_iter() {
            match event {
                Event::Start(tag) => self.start(tag),
                Event::End(tag) => self.end(tag),
                Event::Text(text) => self.text(&text, &at),
                Event::Code(code) => self.put(&html! { code { (code.as_ref()) } }),
                Event::Html(text) | Event::InlineHtml(text) => self.marked(&text, &at),
                Event::SoftBreak | Event::HardBreak => self.out.push_str("<br>\n"),
                Event::Rule => self.out.push_str("<hr>\n"),
                // Only with options that are not set.
                Event::InlineMath(text)
                | Event::DisplayMath(text)
                | Event::FootnoteReference(text) => self.text(&text, &at),
                Event::TaskListMarker(_) => {}
            }
        }
        PreEscaped(self.out)
    }

    fn put(&mut self, markup: &Markup) {
        self.out.push_str(&markup.0);
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.out.push_str("<p dir=\"auto\">"),
            // A heading of a text is none of the page.
            Tag::Heading { .. } => self.out.push_str("<p dir=\"auto\"><strong>"),
            Tag::BlockQuote(_) => self.nest("<blockquote>"),
            Tag::List(None) => self.nest("<ul>"),
            Tag::List(Some(first)) => self.nest(&format!("<ol start=\"{first}\">")),
            Tag::Item if self.is_shown() => self.out.push_str("<li dir=\"auto\">"),
            Tag::CodeBlock(_) => {
                self.in_code = true;
                self.out.push_str("<pre><code>");
            }
            Tag::Emphasis => self.out.push_str("<em>"),
            Tag::Strong => self.out.push_str("<strong>"),
            Tag::Strikethrough => self.out.push_str("<del>"),
            Tag::Link {
                link_type,
                dest_url,
                ..
            } => {
                let address = match link_type {
                    LinkType::Email => CowStr::from(format!("mailto:{dest_url}")),
                    _ => dest_url,
                };
                self.link(&address);
            }
            Tag::Image { dest_url, .. } => self.link(&dest_url),
            Tag::Table(_) => self
                .out
                .push_str("<div class=\"table\" tabindex=\"0\"><table>"),
            Tag::TableHead => {
                self.in_table_head = true;
                self.out.push_str("<thead><tr>");
            }
            Tag::TableRow => self.out.push_str("<tr>"),
            Tag::TableCell if self.in_table_head => self.out.push_str("<th scope=\"col\">"),
            Tag::TableCell => self.out.push_str("<td>"),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.out.push_str("</p>\n"),
            TagEnd::Heading(_) => self.out.push_str("</strong></p>\n"),
            TagEnd::BlockQuote(_) => self.leave("</blockquote>\n"),
            TagEnd::List(false) => self.leave("</ul>\n"),
            TagEnd::List(true) => self.leave("</ol>\n"),
            TagEnd::Item if self.is_shown() => self.out.push_str("</li>\n"),
            TagEnd::Item => self.out.push_str("<br>\n"),
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.out.push_str("</code></pre>\n");
            }
            TagEnd::Emphasis => self.out.push_str("</em>"),
            TagEnd::Strong => self.out.push_str("</strong>"),
            TagEnd::Strikethrough => self.out.push_str("</del>"),
            TagEnd::Link | TagEnd::Image => self.close_link(),
            TagEnd::Table => self.out.push_str("</tbody></table></div>\n"),
            TagEnd::TableHead => {
                self.in_table_head = false;
                self.out.push_str("</tr></thead><tbody>");
            }
            TagEnd::TableRow => self.out.push_str("</tr>"),
            TagEnd::TableCell if self.in_table_head => self.out.push_str("</th>"),
            TagEnd::TableCell => self.out.push_str("</td>"),
            _ => {}
        }
    }

    /// Whether the innermost quotation or list has an element.
    fn is_shown(&self) -> bool {
        self.nested.last().is_some_and(|shown| *shown)
    }

    fn nest(&mut self, element: &str) {
        let shown = self.nested.len() < LEVELS;
        self.nested.push(shown);
        if shown {
            self.out.push_str(element);
        }
    }

    fn leave(&mut self, element: &str) {
        if self.nested.pop() == Some(true) {
            self.out.push_str(element);
        }
    }

    /// Opens a link, if the address is one that a text may have.
    fn link(&mut self, address: &str) {
        let is_open = self.links.contains(&true);
        let shown = !is_open && is_allowed(address);
        self.links.push(shown);
        if shown {
            self.out
                .push_str("<a rel=\"nofollow noopener noreferrer\" href=\"");
            address.render_to(&mut self.out);
            self.out.push_str("\">");
        }
    }

    fn close_link(&mut self) {
        if self.links.pop() == Some(true) {
            self.out.push_str("</a>");
        }
    }

    /// A piece of text, with its bare addresses as links.
    fn text(&mut self, text: &str, at: &Range<usize>) {
        if self.in_code {
            text.render_to(&mut self.out);
            return;
        }
        // With an escape or an entity the text is not the source: then it is too short for one.
        let is_source = self.source.get(at.clone()) == Some(text);
        let (mut rest, mut from) = (text, at.start);
        while is_source && !self.links.contains(&true) {
            let Some(found) = address(rest) else { break };
            self.marked(&rest[..found.start], &(from..from + found.start));
            let target = &rest[found.clone()];
            self.put(&html! { a rel="nofollow noopener noreferrer" href=(target) { (target) } });
            rest = &rest[found.end..];
            from += found.end;
        }
        self.marked(rest, &(from..at.end));
    }

    /// A piece of text, with its mentions marked.
    fn marked(&mut self, text: &str, at: &Range<usize>) {
        if self.source.get(at.clone()) != Some(text) {
            text.render_to(&mut self.out);
            return;
        }
        let mut from = at.start;
        let within: Vec<_> = self
            .mentions
            .iter()
            .map(|mention| mention.start.max(at.start)..mention.end.min(at.end))
            .filter(|mention| mention.start < mention.end)
            .collect();
        for mention in within {
            self.source[from..mention.start].render_to(&mut self.out);
            from = mention.end;
            self.put(&html! { span.mention { (self.source[mention]) } });
        }
        self.source[from..at.end].render_to(&mut self.out);
    }
}

fn is_allowed(address: &str) -> bool {
    SCHEMES.iter().any(|scheme| {
        let start = address.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// The first bare address of the web in a text. Punctuation at its end belongs to the sentence.
fn address(text: &str) -> Option<Range<usize>> {
    let starts = ["https://", "http://"];
    let start = starts.iter().filter_map(|start| text.find(start)).min()?;
    let rest = &text[start..];
    let end = rest.find(|c: char| c.is_whitespace() || c.is_control() || "<>\"`".contains(c));
    let whole = &rest[..end.unwrap_or(rest.len())];
    let whole =
        whole.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '\'', '*', '_']);
    let host = whole.split_once("://").map_or("", |(_, host)| host);
    (!host.is_empty()).then(|| start..start + whole.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> String {
        comment(source).into_string().trim_end().to_owned()
    }

    #[test]
    fn markdown_becomes_the_elements_of_a_short_list() {
        for (source, expected) in [
            ("one\ntwo", "<p dir=\"auto\">one<br>\ntwo</p>"),
            (
                "*a* __b__ `c<d`",
                "<p dir=\"auto\"><em>a</em> <strong>b</strong> <code>c&lt;d</code></p>",
            ),
            ("# Title", "<p dir=\"auto\"><strong>Title</strong></p>"),
            (
                "```js\nlet a = \"<b>\";\n```",
                "<pre><code>let a = &quot;&lt;b&gt;&quot;;\n</code></pre>",
            ),
            (
                "- a\n- b",
                "<ul><li dir=\"auto\">a</li>\n<li dir=\"auto\">b</li>\n</ul>",
            ),
            ("3. a", "<ol start=\"3\"><li dir=\"auto\">a</li>\n</ol>"),
            ("> a", "<blockquote><p dir=\"auto\">a</p>\n</blockquote>"),
            ("&lt;b&gt; \\*", "<p dir=\"auto\">&lt;b&gt; *</p>"),
        ] {
            assert_eq!(shown(source), expected, "{source}");
        }
        let table = text("|a|\n|-|\n|<b>|").into_string();
        assert!(table.contains("<thead><tr><th scope=\"col\">a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody>"));
    }

    #[test]
    fn only_addresses_of_the_web_and_of_mail_are_linked() {
        const REL: &str = "rel=\"nofollow noopener noreferrer\"";
        for (source, address, text) in [
            (
                "[a](https://x.example/?a=1&b=2)",
                "https://x.example/?a=1&amp;b=2",
                "a",
            ),
            ("[a](HTTP://x.example)", "HTTP://x.example", "a"),
            (
                "<mailto:a@x.example>",
                "mailto:a@x.example",
                "mailto:a@x.example",
            ),
            ("<a@x.example>", "mailto:a@x.example", "a@x.example"),
            (
                "![cat](https://x.example/c.png)",
                "https://x.example/c.png",
                "cat",
            ),
            (
                "https://x.example/@ada",
                "https://x.example/@ada",
                "https://x.example/@ada",
            ),
            (
                "[a](https://x.example/\"onclick=x)",
                "https://x.example/&quot;onclick=x",
                "a",
            ),
        ] {
            let expected = format!("<p dir=\"auto\"><a {REL} href=\"{address}\">{text}</a></p>");
            assert_eq!(shown(source), expected, "{source}");
        }
        assert!(shown("(see https://x.example.)").ends_with("example</a>.)</p>"));
        for source in [
            "[a](javascript:alert(1))",
            "[a](java\tscript:alert(1))",
            "[a](&#106;avascript:alert(1))",
            "[a](data:text/html,x)",
            "[a](vbscript:x)",
            "[a](/tasks/1)",
            "[a](//x.example)",
            "![a](javascript:alert(1))",
            "<javascript:alert(1)>",
            "[a]\n\n[a]: javascript:alert(1)",
            "https://",
        ] {
            assert!(
                !shown(source).contains("<a "),
                "{source}: {}",
                shown(source)
            );
        }
        let nested = shown("[a ![b](https://y.example) https://z.example](https://x.example)");
        assert_eq!(nested.matches("<a ").count(), 1, "{nested}");
    }

    #[test]
    fn html_is_shown_as_it_is_written() {
        for source in [
            "<script>alert(1)</script>",
            "<div onclick='x'>\n<img src=x onerror=alert(1)>\n</div>",
            "a <b>c</b> <!-- d -->",
            "<iframe srcdoc='<p>'></iframe>",
        ] {
            let shown = shown(source);
            let elements = shown
                .split('<')
                .skip(1)
                .map(|tag| tag.trim_start_matches('/'));
            for tag in elements {
                assert!(
                    tag.starts_with("p ") || tag.starts_with("p>") || tag.starts_with("br>"),
                    "{shown}"
                );
            }
        }
    }

    #[test]
    fn mentions_are_marked_where_the_forum_finds_them() {
        let mark = "<span class=\"mention\">";
        for (source, marks) in [
            ("@grace and `@ada`, @Linus.", vec!["@grace", "@Linus"]),
            ("<div>@grace</div>", vec!["@grace"]),
            ("ada@example.com https://x.example/@ada \\@ada", vec![]),
            ("[@grace](https://x.example)", vec!["@grace"]),
        ] {
            let shown = shown(source);
            let found: Vec<_> = shown
                .split(mark)
                .skip(1)
                .map(|rest| rest.split('<').next().unwrap())
                .collect();
            assert_eq!(found, marks, "{source}: {shown}");
        }
        assert!(!text("@grace").into_string().contains(mark));
    }

    #[test]
    fn deep_nesting_ends() {
        for source in [
            ">".repeat(5_000) + "a",
            "- ".repeat(2_000) + "a",
            "[".repeat(5_000),
            "*a ".repeat(3_000),
        ] {
            let shown = shown(&source);
            assert!(shown.matches("<blockquote>").count() <= LEVELS);
            assert!(shown.matches("<ul>").count() <= LEVELS);
        }
    }
}
