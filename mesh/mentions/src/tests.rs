//! Tests of which texts are mentions.

use proptest::prelude::*;

use super::*;

fn names(text: &str) -> Vec<String> {
    mentioned(text)
}

#[test]
fn the_text_of_a_block_of_html_is_read() {
    for text in [
        "<div>\n@grace, look\n</div>",
        "<div>@grace</div>",
        "<details><summary>1 < 2, @grace</summary>\n</details>",
        "<p title=\"a > @ada\">@Grace",
        "<!-- @ada -->\n<p>@grace</p>",
        "<pre>@ada</pre>\n<p>@grace</p>",
        "> <div>\n> @grace\n> </div>",
    ] {
        assert_eq!(names(text), ["grace"], "{text}");
    }
    for text in [
        "<div title='@ada'>\n</div>",
        "<!-- @ada",
        "<script>\n@ada\n</script>",
        "<STYLE>@ada</style>",
        "<pre>\n<b>@ada</b>\n</pre>",
        "<div>\nada@example.com https://x.example/@ada\n</div>",
        "<div\n@ada",
        "<?php @ada ?>",
    ] {
        assert_eq!(names(text), [""; 0], "{text}");
    }
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
    assert_eq!(names("...@ada, -@bob, _@eve"), ["ada", "bob", "eve"]);
    assert_eq!(names("see `code`@ada and <b>@bob</b>"), ["ada", "bob"]);
    assert_eq!(
        names("@ada/@bob, (＠eve/＠dan)"),
        ["ada", "bob", "eve", "dan"]
    );
    assert_eq!(names("@ada./@bob/@eve"), ["ada", "bob", "eve"]);
}

#[test]
fn names_are_found_between_scripts_without_spaces() {
    for text in [
        "请@grace看",
        "@grace님 확인",
        "@graceさん",
        "@graceが", // in two characters: か and a mark
        "@grace１件",
        "ש@grace",
        "@graceש",
        "ถาม@graceครับ",
        "＠grace",
        "请＠grace，看",
        "é@grace",
        "@grace’s",
    ] {
        assert_eq!(names(text), ["grace"], "{text}");
    }
}

#[test]
fn underscores_belong_to_the_name_unless_they_are_emphasis_around_the_mention() {
    assert_eq!(names("@_ada_"), ["_ada_"]);
    assert_eq!(names("@_ada_ and @__eve__!"), ["_ada_", "__eve__"]);
    assert_eq!(names("@_ada and @bob_"), ["_ada", "bob_"]);
    assert_eq!(names("@\\_ada\\_, @a\\_b"), ["_ada_", "a_b"]);
    assert_eq!(names("_@ada_"), ["ada"]);
    assert_eq!(names("__ask @ada_b__ _or @bob_"), ["ada_b", "bob"]);
    assert_eq!(names("***@ada*** *@_bob_*"), ["ada", "_bob_"]);
}

#[test]
fn the_text_of_a_link_is_text() {
    assert_eq!(names("[@grace](https://example.com/@ada)"), ["grace"]);
    assert_eq!(names("[see](https://example.com/)@grace"), ["grace"]);
    assert_eq!(names("[@grace]\n\n[@grace]: https://x.example"), ["grace"]);
}

#[test]
fn a_bare_url_ends_where_a_reader_sees_its_end() {
    for text in [
        "https://x.example @grace",
        "看https://x.example/a，@grace",
        "看https://x.example/a请@grace",
        "<https://x.example>@grace",
    ] {
        assert_eq!(names(text), ["grace"], "{text}");
    }
}

#[test]
fn code_addresses_and_words_are_no_mentions() {
    for text in [
        "`@ada`",
        "```java\n@Override\n```",
        "    @indented",
        "> ```\n> @ada",
        "ada@example.com",
        "<ada@example.com>",
        "@@ada",
        "＠@ada",
        "@ada@example.com",
        "@ada_@example.com",
        "@ada\\@example.com",
        "ada＠example.com",
        "@ab",
        "@ ada",
        "@ädä",
        "@adaë",
        "@adae\u{308}",
        "@adaж",
        "<b title='@ada'>",
        "[text](https://example.com/@ada)",
        "https://mastodon.social/@grace",
        "https://x.example/?by=@grace&to=.@grace",
        "https://x.example/a_b/_c_?by=@grace",
        "https://bücher.example/?by=@grace",
        "www.example.com?by=@grace",
        "<https://x.example/@grace/1>",
        "<https://x.example/?by=@grace>",
        "npm i @types/node",
        "either/@grace",
        "/@grace",
        "@ab/@grace",
        "@types/node/@grace",
        "@ada//@grace",
        "\\@grace",
        "\\＠grace",
        "\\\\\\@grace",
        "&#64;grace &commat;grace",
    ] {
        assert_eq!(names(text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(names("\\\\@grace"), ["grace"], "the backslash is escaped");
}

#[test]
fn a_name_counts_once_and_the_number_of_mentions_is_limited() {
    assert_eq!(names("@ada @ADA @ada"), ["ada"]);
    let crowd: String = (0..100).map(|n| format!("@user{n} ")).collect();
    let found = names(&crowd);
    assert_eq!(found.len(), MAX_MENTIONS);
    assert_eq!(found[19], "user19");
}

/// Characters of the longest comment.
const LONGEST: usize = 10_000;

#[test]
fn long_and_malformed_contents_are_read_quickly() {
    let odd = [
        "@", "[", "*", "`", "> ", "@a_", "_@a", "<", "\\", "\\@", "://", "www.@", "a://@ ",
    ];
    for part in odd {
        let count = LONGEST / part.chars().count();
        assert!(names(&part.repeat(count)).len() <= 1, "{part}");
    }
}

/// A possible username that does not end with punctuation of the sentence.
fn a_name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._-]{2,39}[A-Za-z0-9_]"
}

/// Characters of every kind; those with a meaning in Markdown are more frequent.
fn any_text() -> impl Strategy<Value = String> {
    let acts = prop::sample::select(vec![
        '@', '＠', '_', '*', '`', '\\', '<', '>', '[', ']', '(', ')', '/', ':', '.', '-', '&', ';',
        '\n', ' ', 'a', 'b', 'ë', '看', '\u{308}',
    ]);
    prop::collection::vec(prop_oneof![9 => acts, 1 => any::<char>()], 1..40)
        .prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #[test]
    fn a_name_is_found_between_characters_that_do_not_continue_a_word(
        name in a_name(),
        sign in prop::sample::select(SIGNS.to_vec()),
        before in prop::sample::select(vec![
            "", "x ", "请", "ש", "é", "한", "ก", "，", "(", "“", "x.", "x -", "!", "\n",
        ]),
        behind in prop::sample::select(vec![
            "", " x", "看", "님", "さん", "ש", "ไ", "，", ")", "!", "?", ":", "’s", "\n", ". x",
        ]),
    ) {
        let text = format!("{before}{sign}{name}{behind}");
        prop_assert_eq!(names(&text), [name.to_lowercase()], "{}", text);
    }

    #[test]
    fn texts_that_are_not_mentions_mention_nobody(
        name in a_name(),
        (before, behind) in prop::sample::select(vec![
            ("`@", "`"), ("```\n@", "\n```"), ("<https://x.example/?a=@", ">"),
            ("https://x.example/?a=@", ""), ("\\@", ""), ("x@", ""), ("/@", ""), ("@@", ""),
            ("@", "/x"), ("@", "@x.example"), ("@", "é"), ("@", "ж"), ("&#64;", ""),
            ("<b title='@", "'>x"),
        ]),
    ) {
        let text = format!("{before}{name}{behind}");
        prop_assert_eq!(names(&text), Vec::<String>::new(), "{}", text);
    }

    #[test]
    fn a_mention_is_where_it_says(text in any_text()) {
        for mention in mentions(&text) {
            let source = text[mention.at.clone()].replace('\\', "").to_ascii_lowercase();
            prop_assert_eq!(source.trim_start_matches(SIGNS), mention.name);
        }
    }

    #[test]
    fn every_mention_occurs_in_the_text(text in any_text()) {
        let plain = text.replace('\\', "").to_ascii_lowercase();
        for name in mentioned(&text) {
            prop_assert!(LENGTHS.contains(&name.len()) && name.chars().all(of_name));
            prop_assert!(SIGNS.iter().any(|sign| plain.contains(&format!("{sign}{name}"))), "{}", name);
        }
    }
}
