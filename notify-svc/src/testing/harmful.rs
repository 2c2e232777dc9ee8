//! Harmful templates, made to use up stack, memory or time: known ones, ones from a grammar, and
//! texts that are not templates. For tests and the fuzzer.

use std::{io, sync::Arc};

use rand::{Rng, RngExt as _, seq::IndexedRandom as _};
use serde_json::{Map, Value, json};
use slipway_proto::notify::v1::{
    PreviewTemplateRequest, PreviewTemplateResponse, template_service_server::TemplateService as _,
};
use slipway_runtime::clock::SystemClock;
use slipway_store::outbox::Wake;
use tonic::{Request, Status};

use crate::{
    Stores,
    notification::templates::{Library, editor::Editor, service::TemplateApi},
};

/// Previews of templates, without a server.
pub struct Previews(TemplateApi);

impl Previews {
    /// Previews with these stores.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn new(stores: &Stores) -> io::Result<Self> {
        let library = Library::new(stores.templates.clone(), "https://slipway.example.com")?;
        Ok(Self(TemplateApi(Editor {
            store: stores.templates.clone(),
            library: Arc::new(library),
            clock: Arc::new(SystemClock),
            outbox: Wake::default(),
        })))
    }

    /// Renders a preview.
    ///
    /// # Errors
    /// If the templates are refused.
    pub async fn preview(
        &self,
        request: PreviewTemplateRequest,
    ) -> Result<PreviewTemplateResponse, Status> {
        let preview = self.0.preview_template(Request::new(request)).await?;
        Ok(preview.into_inner())
    }
}

const NAMES: &[&str] = &["text", "long", "list", "map", "deep", "n", "a", "b", "c"];

const FILTERS: &[&str] = &[
    "upper",
    "lower",
    "title",
    "capitalize",
    "trim",
    "escape",
    "string",
    "length",
    "first",
    "last",
    "items",
    "when",
    "abs",
    "round",
    "int",
    "float",
    "truncate(7)",
    "default(long)",
    "join(long)",
    "join(list)",
    "replace('', long)",
    "replace('x', long)",
    "round(1000)",
    "int(base=99)",
    "center(99999999)",
    "slice(100000000)",
    "batch(1)",
    "tojson",
    "pprint",
    "list",
    "sort",
    "unique",
    "reverse",
    "map('upper')",
    "indent(9999)",
    "format(long)",
    "urlencode",
    "safe",
    "dictsort",
    "groupby('a')",
    "chain(list)",
    "zip(list)",
    "sum",
];

const TESTS: &[&str] = &[
    "defined",
    "none",
    "odd",
    "even",
    "string",
    "mapping",
    "iterable",
    "divisibleby(0)",
    "startingwith(long)",
    "eq(list)",
    "in(list)",
    "upper",
];

const BETWEEN: &[&str] = &[
    "~", "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", ">=", "in", "not in", "and", "or",
];

/// Templates that have crashed a process, or are similar to them.
#[must_use]
pub fn known() -> Vec<String> {
    let doubled = |begin: &str, step: &str, end: &str| format!("{begin}{}{end}", step.repeat(31));
    let long = |step: &str| doubled("{% set x = long %}", step, "{{ x }}");
    vec![
        format!("{{{{ {}1 }}}}", "-".repeat(8000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(3000)),
        format!("{{{{ {}1{} }}}}", "(".repeat(8000), ")".repeat(8000)),
        format!("{{{{ {}1{} }}}}", "[".repeat(149), "]".repeat(149)),
        format!("{{{{ 1{} }}}}", "+1".repeat(8000)),
        format!("{{{{ n{} }}}}", ".a".repeat(8000)),
        format!("{{{{ n{} }}}}", "|upper".repeat(2500)),
        format!("{{{{ n{} }}}}", " if n else n".repeat(1300)),
        format!(
            "{{% for {}a{} in list %}}{{% endfor %}}",
            "(".repeat(7000),
            ")".repeat(7000)
        ),
        format!("{{% if n %}}{}{{% endif %}}", "{% elif n %}".repeat(1300)),
        format!("{}{}", "{% if n %}".repeat(800), "{% endif %}".repeat(800)),
        format!(
            "{}{}",
            "{% set a %}".repeat(700),
            "{% endset %}".repeat(700)
        ),
        doubled(
            "{% set ns = namespace(x=long) %}",
            "{% set ns.x = ns.x ~ ns.x %}",
            "{{ ns.x }}",
        ),
        long("{% set x = x ~ x %}"),
        long("{% set x = x + x %}"),
        doubled("{% set x = [long] %}", "{% set x = [x, x] %}", "{{ x }}"),
        doubled(
            "{% set x = [long] %}",
            "{% set x = [x, x] %}",
            "{{ x == x[0] }}",
        ),
        long("{% set x = {'a': x, 'b': x} %}"),
        doubled(
            "{% set x = 'x' %}",
            "{% set x %}{{ x }}{{ x }}{% endset %}",
            "{{ x }}",
        ),
        long("{% set x = x|replace('', x) %}"),
        long("{% set x = [x, x]|join(x) %}"),
        doubled("{% set x = list %}", "{% set x = x[1:] %}", "{{ x }}"),
        "{{ [1]|slice(100000000) }}".to_owned(),
        "{{ 'x' * 100000000 }}".to_owned(),
        "{{ [1] * 100000000 }}".to_owned(),
        "{{ text|center(100000000) }}".to_owned(),
        "{{ '%0100000000d' % 1 }}{{ '%0100000000d'|format(1) }}".to_owned(),
        "{{ long|replace('', long) }}".to_owned(),
        "{{ list|join(long) }}".to_owned(),
        format!("{{{{ long{} }}}}", "|tojson".repeat(40)),
        format!("{{{{ long{} }}}}", "|pprint".repeat(40)),
        format!("{{{{ '\"'{} }}}}", "|escape|string".repeat(100)),
        "{% for a in range(99999999) %}{% for b in range(99999999) %}{% endfor %}{% endfor %}"
            .to_owned(),
        "{% for a in range(100000000)|list %}{% endfor %}".to_owned(),
        "{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}{{ m(long) }}".to_owned(),
        "{% block a %}{{ self.a() }}{{ self.a() }}{% endblock %}".to_owned(),
        "{% block a %}{% set x = self.a() %}{% endblock %}".to_owned(),
        "{% include 'fuzzed.txt' %}{% include 'fuzzed.html' %}".to_owned(),
        "{% extends 'fuzzed.txt' %}".to_owned(),
        "{% extends 'layout.html' %}{% block heading %}{% include 'layout.html' %}{% endblock %}"
            .to_owned(),
        "{% for a in list recursive %}{{ loop(list) }}{% endfor %}".to_owned(),
        "{% filter upper %}{% for a in list %}{{ long }}{% endfor %}{% endfilter %}".to_owned(),
        "{% extends 'layout.html' %}{% for a in list %}{% for b in list %}{{ long }}{{ map }}\
         {% endfor %}{% endfor %}"
            .to_owned(),
        format!(
            "{}{{{{ x0 }}}}",
            (0..450)
                .map(|n| { format!("{{% set x{n} = long ~ long ~ long %}}") })
                .collect::<String>()
        ),
    ]
}

/// Templates that are allowed and take as long as possible.
#[must_use]
pub fn slow() -> Vec<String> {
    [
        "{% for a in list %}{% for b in list %}{{ long|title|truncate(1) }}{% endfor %}{% endfor %}",
        "{% for a in list %}{% for b in list %}{% if map == deep or long in long %}{% endif %}\
         {% endfor %}{% endfor %}",
        "{% for a in list %}{% for b in list %}{{ (list ~ list ~ map ~ long)|truncate(1) }}\
         {% endfor %}{% endfor %}",
        "{% for a in list %}{% for b in list %}{{ long|replace('x', 'yy')|length }}{% endfor %}\
         {% endfor %}",
        "{% extends 'layout.html' %}{% block heading %}{% for a in list %}{{ long }}raw{% endfor %}\
         {% endblock %}",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Data of an event, close to the maximum size.
pub fn data(rng: &mut impl Rng) -> Map<String, Value> {
    let mut deep = json!(1);
    for _ in 0..rng.random_range(0..100) {
        deep = json!([deep]);
    }
    let letter = *['x', '"', '<', 'ŉ', '\u{e000}', ' ']
        .choose(rng)
        .unwrap_or(&'x');
    let kind = rng.random_range(0..4);
    let long = |yes: bool| {
        if yes {
            13_000 / letter.len_utf8() / 2
        } else {
            20
        }
    };
    let list: Vec<_> = (0..if kind == 1 { 5_000 } else { 50 })
        .map(|n| json!(n % 10))
        .collect();
    let map: Map<_, _> = (0..if kind == 2 { 900 } else { 9 })
        .map(|n| (format!("{n}"), json!(n)))
        .collect();
    let fields = json!({
        "text": "a text", "long": letter.to_string().repeat(long(kind == 0)), "list": list,
        "map": map, "deep": deep, "n": 3, "a": "1", "b": [["x", 1], ["y", 2]], "c": null,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A template that is usually allowed: it uses only what exists, and is short.
pub fn allowed(rng: &mut impl Rng) -> String {
    let value = |rng: &mut _| choose(rng, &["text", "long", "n", "a", "list[0]", "'x'"]);
    let mut text = String::new();
    for _ in 0..rng.random_range(1..4) {
        for _ in 0..rng.random_range(0..4) {
            text.push_str(choose(
                rng,
                &[
                    "{% for a in list %}",
                    "{% for a, c in b %}",
                    "{% for a, c in map|items %}",
                    "{% for a in [text, long, n] %}",
                    "{% with a = long ~ text ~ n %}",
                    "{% with facts = [[text, long], ['x', list]] %}",
                    "{% if long == text or n in list or map == deep %}{% else %}",
                ],
            ));
            text.push_str("raw ");
        }
        let mut open = Vec::new();
        for tag in text.split("{% ").skip(1) {
            match tag.split(' ').next() {
                Some(word @ ("for" | "with" | "if")) => open.push(word.to_owned()),
                Some(word) if word.starts_with("end") => drop(open.pop()),
                _ => {}
            }
        }
        for _ in 0..rng.random_range(1..5) {
            text.push_str("{{ (");
            text.push_str(value(rng));
            for _ in 0..rng.random_range(0..8) {
                text.push_str(choose(rng, &[" ~ ", " ~ ", " or ", " == "]));
                text.push_str(value(rng));
            }
            text.push_str(")|string");
            for _ in 0..rng.random_range(0..4) {
                text.push('|');
                text.push_str(choose(
                    rng,
                    &[
                        "upper",
                        "lower",
                        "title",
                        "capitalize",
                        "trim",
                        "escape",
                        "truncate(9000)",
                        "replace('x', 'yy')",
                        "replace('', '-')",
                        "default(long)",
                        "when",
                    ],
                ));
            }
            text.push_str(" }}");
            if rng.random_ratio(1, 3) {
                text.push_str("{{ (map ~ list ~ deep)|length }}{{ list|join(', ') }}");
            }
        }
        for tag in open.iter().rev() {
            text.push_str("{% end");
            text.push_str(tag);
            text.push_str(" %}");
        }
    }
    text
}

fn choose<'c>(rng: &mut impl Rng, choices: &[&'c str]) -> &'c str {
    choices.choose(rng).copied().unwrap_or_default()
}

/// A template of at most this many bytes.
pub fn template(rng: &mut impl Rng, bytes: usize) -> String {
    if rng.random() {
        return allowed(rng);
    }
    let mut text = match rng.random_range(0..10) {
        0 => known().choose(rng).cloned().unwrap_or_default(),
        1 => {
            let bytes: Vec<u8> = (0..rng.random_range(0..bytes))
                .map(|_| rng.random())
                .collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        2 => {
            let signs = [
                "{{", "}}", "{%", "%}", "{#", "#}", "-", "(", ")", "[", "]", "|", "~", "'", "a",
                "1", " ", "if", "else", "elif", "endif", "for", "in", "set", "=", "not", ".",
            ];
            let count = rng.random_range(0..bytes / 2);
            (0..count)
                .map(|_| *signs.choose(rng).unwrap_or(&" "))
                .collect()
        }
        _ => {
            let (mut text, length) = (String::new(), rng.random_range(0..bytes));
            if rng.random_ratio(1, 8) {
                text.push_str("{% extends 'layout.html' %}");
            }
            while text.len() < length {
                statement(rng, &mut text, 4);
            }
            text
        }
    };
    // One in four is truncated or changed somewhere.
    if rng.random_ratio(1, 4) && !text.is_empty() {
        let at = text.floor_char_boundary(rng.random_range(0..text.len()));
        if rng.random() {
            text.truncate(at);
        } else {
            text.insert_str(at, known().choose(rng).map_or("", String::as_str));
        }
    }
    text.truncate(text.floor_char_boundary(bytes));
    text
}

fn statement(rng: &mut impl Rng, text: &mut String, depth: usize) {
    let body = |rng: &mut _, text: &mut String| {
        if depth > 0 {
            statement(rng, text, depth - 1);
        }
    };
    match rng.random_range(0..16) {
        0..=3 => {
            text.push_str("{{ ");
            expression(rng, text, 4);
            text.push_str(" }}");
        }
        4 => text.push_str("raw <text> "),
        5 | 6 => {
            text.push_str("{% if ");
            expression(rng, text, 3);
            text.push_str(" %}");
            body(rng, text);
            text.push_str("{% else %}");
            body(rng, text);
            text.push_str("{% endif %}");
        }
        7..=9 => {
            let target = ["a", "b", "a, b", "x"].choose(rng).copied().unwrap_or("a");
            text.push_str(&format!("{{% for {target} in "));
            match rng.random_range(0..3) {
                0 => expression(rng, text, 2),
                _ => text.push_str(
                    ["list", "b", "map", "map|items"]
                        .choose(rng)
                        .unwrap_or(&"b"),
                ),
            }
            text.push_str(" %}");
            body(rng, text);
            body(rng, text);
            text.push_str("{% endfor %}");
        }
        10 | 11 => {
            let name = NAMES.choose(rng).copied().unwrap_or("a");
            text.push_str(&format!("{{% with {name} = "));
            expression(rng, text, 3);
            text.push_str(" %}");
            body(rng, text);
            text.push_str("{% endwith %}");
        }
        12 => {
            let name = NAMES.choose(rng).copied().unwrap_or("a");
            text.push_str(&format!("{{% set {name} = "));
            expression(rng, text, 4);
            text.push_str(" %}");
        }
        13 => {
            text.push_str("{% with facts = [[text, long], [n, ");
            expression(rng, text, 2);
            text.push_str("]] %}{% include 'facts.html' %}{% endwith %}");
        }
        14 => {
            let name = ["heading", "body", "facts", "accent", "x"].choose(rng);
            text.push_str(&format!("{{% block {} %}}", name.unwrap_or(&"x")));
            body(rng, text);
            text.push_str("{{ super() }}{% endblock %}");
        }
        _ => text.push_str(known().choose(rng).map_or("", String::as_str)),
    }
}

fn expression(rng: &mut impl Rng, text: &mut String, depth: usize) {
    let pick = if depth == 0 {
        0
    } else {
        rng.random_range(0..10)
    };
    match pick {
        0 | 1 => text.push_str(NAMES.choose(rng).unwrap_or(&"a")),
        2 => text.push_str(
            ["'x'", "7", "1.5", "true", "none", "''", "10**30"]
                .choose(rng)
                .unwrap_or(&"1"),
        ),
        3 => {
            text.push('[');
            for _ in 0..rng.random_range(0..5) {
                expression(rng, text, depth - 1);
                text.push_str(", ");
            }
            text.push(']');
        }
        4 => {
            text.push('(');
            expression(rng, text, depth - 1);
            text.push_str(&format!(").{}", NAMES.choose(rng).unwrap_or(&"a")));
        }
        5 => {
            text.push('(');
            expression(rng, text, depth - 1);
            text.push_str(&format!(") is {}", TESTS.choose(rng).unwrap_or(&"defined")));
        }
        6 => {
            expression(rng, text, depth - 1);
            text.push_str(" if ");
            expression(rng, text, depth - 1);
            text.push_str(" else ");
            expression(rng, text, depth - 1);
        }
        7 => {
            text.push('(');
            expression(rng, text, depth - 1);
            text.push_str(&format!(" {} ", BETWEEN.choose(rng).unwrap_or(&"~")));
            expression(rng, text, depth - 1);
            text.push(')');
        }
        _ => {
            text.push('(');
            expression(rng, text, depth - 1);
            // The first ones are there.
            let filters = &FILTERS[..if rng.random_ratio(9, 10) {
                21
            } else {
                FILTERS.len()
            }];
            text.push_str(&format!(")|{}", filters.choose(rng).unwrap_or(&"upper")));
        }
    }
}
