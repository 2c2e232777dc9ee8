//! What templates may do, and that no template and no data can do harm.

use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use super::*;
use crate::{
    notification::templates::{LONGEST, Source, Templates, built_in, filters},
    testing::harmful,
};

#[track_caller]
fn allowed(source: &str) {
    assert_eq!(check("t.html", source), Ok(()), "{source}");
}

/// What is said of a template that is not allowed.
#[track_caller]
fn refused(source: &str) -> String {
    match check("t.txt", source) {
        Ok(()) => panic!("allowed: {source}"),
        Err(error) => error.to_string(),
    }
}

/// What `source` renders to with data of nearly any size.
fn rendered(source: &str, data: &Value) -> Result<String, String> {
    let source = Source {
        subject: "A subject".to_owned(),
        text: source.to_owned(),
        html: source.to_owned(),
    };
    let templates = Templates::built_in("https://slipway.example.com");
    let with = templates.with("fuzzed", &source);
    let with = with.map_err(|error| error.to_string())?;
    let body = with.body("fuzzed", data, "ada");
    body.map(|body| body.text)
        .map_err(|error| error.to_string())
}

/// Runs `job` on a stack that is a quarter of what it has otherwise.
fn on_a_small_stack<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    thread.spawn(job).unwrap().join().unwrap()
}

#[test]
fn what_came_with_slipway_keeps_to_the_language() {
    for (name, source) in built_in::FILES {
        if !built_in::LAYOUTS.contains(name) {
            assert_eq!(check(name, source), Ok(()), "{name}");
        }
    }
}

#[test]
fn what_an_administrator_needs_is_allowed() {
    for source in [
        "{{ orderId }} {{ order.items[0].name }} {{ -n }} {{ not n }}",
        "{% if a == 'x' and b != 3 or not c %}x{% elif a in ['x', 'y'] %}y{% else %}z{% endif %}",
        "{% for item in items %}{{ loop.index }}. {{ item.name|title }}{% if not loop.last %}, \
         {% endif %}{% else %}none{% endfor %}",
        "{% for name, value in map|items if value %}{{ name }}: {{ value }}{% endfor %}",
        "{{ names|join(', ') }} {{ items|join(', ', attribute='name') }} {{ items|length }}",
        "{{ note|default('none') }} {{ a|upper|trim|replace('A', 'B') }} {{ price|round(2) }}",
        "{{ count + 1 }} {{ count|int * 2 }} {{ total / count|length }} {{ 7 % 2 }}",
        "{% with url = publicUrl ~ '/orders/' ~ id, text = 'Open' %}{% set color = '#fff' %}\
         {% include 'button.html' %}{% endwith %}",
        "{% for row in items %}{% with facts = [['Name', row.name], ['At', row.at|when]] %}\
         {% include \"facts.html\" %}{% endwith %}{% endfor %}",
        "{% extends \"layout.html\" %}{% set x = 'a' %}{% block heading %}{{ x }}{{ super() }}\
         {% endblock %}",
        "{% raw %}{{ {{ (((({% endraw %}{# {{ #}",
        "{{ text|truncate(20) }} {{ x is defined }} {{ a if b else c }} {{ 'ä' < b }}",
    ] {
        allowed(source);
    }
}

#[test]
fn a_refusal_says_what_to_write_instead() {
    for (source, message) in [
        ("\n{{ ------1|x }}", "there is no filter x"),
        (
            "{{ a|center(9) }}",
            "there is no filter center; there are abs,",
        ),
        ("{{ a is sameas(b) }}", "there is no test sameas"),
        (
            "{{ 'x' * 9 }}",
            "* multiplies numbers only: write a|int * b|int",
        ),
        ("{{ a * 9 }}", "* multiplies numbers only"),
        (
            "{{ a + b }}",
            "+ adds numbers only: write a|int + b|int, or a ~ b to join texts",
        ),
        ("{{ 2 ** 9 }}", "** cannot be used"),
        ("{{ a[1:2] }}", "write text|truncate(20)"),
        ("{{ {'a': 1} }}", "choose with if and elif"),
        (
            "{% for a in range(9) %}{% endfor %}",
            "loop over a field of the event",
        ),
        ("{{ self.a() }}", "write the text again"),
        ("{{ super() }}", "super() stands alone in a block"),
        ("{{ dict(a=1) }}", "there are no functions"),
        ("{{ a.b() }}", "values have no functions"),
        ("{% set x %}{% endset %}", "write set name = value"),
        ("{% for a in b %}{% set x = a %}{% endfor %}", "use with"),
        (
            "{% for a in b recursive %}{% endfor %}",
            "write one for inside another",
        ),
        ("{% set a.b = 1 %}", "only names"),
        ("{% filter upper %}{% endfilter %}", "name|upper"),
        (
            "{% autoescape false %}{% endautoescape %}",
            "HTML is always escaped",
        ),
        ("{% import 'a' as b %}", "include facts.html"),
        ("{% from 'a' import b %}", "include facts.html"),
        ("{% do a() %}", "do cannot be used"),
        (
            "{% include 'layout.html' %}",
            "include takes only \"facts.html\"",
        ),
        ("{% include a %}", "include takes only"),
        (
            "{% extends 'task.assigned.html' %}",
            "extends takes only \"layout.html\"",
        ),
        (
            "{% extends 'layout.html' %}{% for a in b %}{% endfor %}",
            "for stands inside a block",
        ),
        (
            "{% if a %}{% extends 'layout.html' %}{% endif %}",
            "must not stand inside",
        ),
        (
            "{% if a %}{% block b %}{% endblock %}{% endif %}",
            "must not stand inside",
        ),
        (
            "{{ [a] }}",
            "a list is written: write its items in a for loop",
        ),
        ("{{ [a] ~ 'x' }}", "a list is joined"),
        ("{{ [a] == b }}", "a list is compared"),
        ("{{ [[[a]]] }}", "at most 2 deep"),
        (
            "{% with text = [a] %}{% include 'button.html' %}{% endwith %}",
            "in button.html",
        ),
        (
            "{{ loop.index }}{% for a in b %}{{ loop }}{% endfor %}",
            "such as loop.index",
        ),
        ("{{ a(*b) }}", "there are no functions"),
        ("{{ a|join(*b) }}", "cannot be used in arguments"),
    ] {
        let said = refused(source);
        assert!(said.contains(message), "{source}: {said}");
        assert!(said.contains("(t.txt, line "), "{said}");
    }
}

#[test]
fn a_slip_is_told_with_what_to_write() {
    for (source, advice) in [
        ("{% if a %}x{% else if b %}y{% endif %}", "write elif"),
        ("{% if a %}x{%- elseif b %}y{% endif %}", "write elif"),
        ("{% if a = b %}x{% endif %}", "to compare, write =="),
        ("{%if a='b'%}x{%endif%}", "to compare, write =="),
        ("{% set a == b %}", "to give a name, write ="),
        (
            "{% if a == “b” %}x{% endif %}",
            "write straight quotes: \" or '",
        ),
        ("{{ a|default(‘b’) }}", "write straight quotes: \" or '"),
        ("{{ a –1 }}", "write a plain minus: -"),
        (
            "{{ a\u{a0}}}",
            "write a plain space instead of a no-break space",
        ),
        ("{{{ a }}}", "write two braces on each side: {{ name }}"),
        ("{% IF a %}x{% endif %}", "write if, in lower case"),
        ("{% if a AND b %}x{% endif %}", "write and, in lower case"),
        (
            "{% if a %}x{% ELSE %}y{% endif %}",
            "write else, in lower case",
        ),
        ("{% if a && b %}x{% endif %}", "write and"),
        ("{% if a || b %}x{% endif %}", "write or"),
        ("{% if !a %}x{% endif %}", "write not"),
        ("{% if a <> b %}x{% endif %}", "write !="),
        ("{% if a then %}x{% endif %}", "leave out then"),
        ("{{ a ? b : c }}", "write a if b else c"),
        ("{{ if a }}x{{ endif }}", "write {% if … %}"),
        (
            "{% for a in b %}x{% end for %}",
            "write endif, endfor, endwith or endblock, in one word",
        ),
        ("{% foreach a in b %}", "write {% for item in list %}"),
        (
            "{% for a in b %}x{% endif %}",
            "there is no open tag that it can belong to",
        ),
        (
            "{% if a %}b=",
            "end {{ with }}, {% with %}, and if with endif, for with endfor",
        ),
    ] {
        let said = refused(source);
        assert!(said.starts_with("syntax error: "), "{source}: {said}");
        assert!(
            said.ends_with(&format!("(t.txt, line 1): {advice}")),
            "{source}: {said}"
        );
    }
}

#[test]
fn what_may_be_meant_in_several_ways_gets_no_advice() {
    for source in [
        "{{ a b }}",
        "{% frobnicate %}",
        "{{ a | }}",
        "{{ 'a }}",
        "{{ (a }}",
    ] {
        let said = refused(source);
        assert!(said.ends_with("(t.txt, line 1)"), "{source}: {said}");
    }
}

#[test]
fn what_is_nested_too_deep_is_told_with_its_line() {
    let parts = format!("one\n{{{{ {}1 }}}}", "-".repeat(PARTS));
    assert_eq!(
        refused(&parts),
        "an expression may have at most 250 parts (t.txt, line 2)"
    );
    let just = format!("{{{{ {}1 }}}}", "-".repeat(PARTS - 1));
    on_a_small_stack(move || allowed(&just));
    let brackets = format!("{{{{ {}1{} }}}}", "(".repeat(11), ")".repeat(11));
    assert_eq!(
        refused(&brackets),
        "brackets may be nested at most 10 deep (t.txt, line 1)"
    );
    let elif = format!("{{% if a %}}{}{{% endif %}}", "{% elif b %}".repeat(NESTED));
    assert!(refused(&elif).starts_with("tags may be nested at most 20 deep"));
    let tags = |count: usize| {
        format!(
            "{}{}",
            "{% if a %}".repeat(count),
            "{% endif %}".repeat(count)
        )
    };
    allowed(&tags(NESTED));
    assert!(refused(&tags(NESTED + 1)).starts_with("tags may be nested at most 20 deep"));
}

#[test]
fn what_is_named_stays_small() {
    let sets: String = (0..300).map(|n| format!("{{% set x{n} = a %}}")).collect();
    assert!(refused(&sets).starts_with("set and with name too much"));
    let joined = format!("{{{{ a{} }}}}", " ~ a".repeat(16));
    assert!(refused(&joined).starts_with("this text can become too long"));
    let listed = format!("{{% set x = [{}] %}}", "a, ".repeat(65));
    assert!(refused(&listed).starts_with("this list can become too large"));
}

#[test]
fn every_filter_and_test_that_is_listed_is_there_and_bounded() {
    let long = json!({"x": "\"".repeat(12_000), "n": 3, "list": ["a", "b"], "map": {"a": 1}});
    for (name, makes) in filters::FILTERS {
        let value = match makes {
            filters::Makes::Number => "n",
            filters::Makes::Joined | filters::Makes::Item | filters::Makes::Length => "list",
            filters::Makes::Pairs => "map",
            filters::Makes::Text | filters::Makes::Either => "x",
        };
        let arguments = if *name == "replace" { "('a', 'b')" } else { "" };
        let source = format!("{{% if {value}|{name}{arguments} %}}{{% endif %}}");
        match rendered(&source, &long) {
            Ok(_) => {}
            Err(error) => assert!(error.contains("more than 32 KiB"), "{name}: {error}"),
        }
    }
    for name in filters::TESTS {
        let arguments = if name.ends_with("with") { "('a')" } else { "" };
        let source = format!("{{{{ x is {name}{arguments} }}}}");
        assert!(rendered(&source, &long).is_ok(), "{name}");
    }
}

#[test]
fn a_filter_makes_no_text_without_end() {
    let data = json!({"long": "x".repeat(12_000), "list": vec![1; 100]});
    for source in [
        "{{ long|replace('', long) }}",
        "{{ long|replace('x', 'xxxx') }}",
        "{{ list|join(long) }}",
    ] {
        let error = rendered(source, &data).unwrap_err();
        assert!(
            error.contains("makes a text of more than 32 KiB"),
            "{error}"
        );
    }
    assert_eq!(
        rendered("{{ long|truncate(3) }}", &data),
        Ok("xx…".to_owned())
    );
}

#[test]
fn known_attacks_are_refused_or_stopped() {
    let list: Vec<_> = (0..50).collect();
    let data = json!({
        "text": "a text", "long": "x".repeat(6000), "list": list, "map": {"a": 1}, "deep": [[1]],
        "n": 3, "a": "1", "b": [["x", 1]], "c": null,
    });
    for source in harmful::known() {
        let (tried, data) = (source.clone(), data.clone());
        let result = on_a_small_stack(move || rendered(&tried, &data));
        let head: String = source.chars().take(100).collect();
        assert!(result.is_err(), "{head}: {result:?}");
    }
}

#[test]
fn what_is_allowed_ends_or_is_stopped() {
    let mut rng = StdRng::seed_from_u64(7);
    for source in harmful::slow() {
        assert_eq!(check("fuzzed.txt", &source), Ok(()), "{source}");
        for _ in 0..8 {
            let data = Value::Object(harmful::data(&mut rng));
            if let Ok(text) = rendered(&source, &data) {
                assert!(text.len() <= LONGEST);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_template_does_harm(seed in any::<u64>()) {
        let mut rng = StdRng::seed_from_u64(seed);
        let source = harmful::template(&mut rng, 2 * 1024);
        let data = Value::Object(harmful::data(&mut rng));
        let result = on_a_small_stack(move || rendered(&source, &data));
        if let Ok(text) = result {
            prop_assert!(text.len() <= LONGEST);
        }
    }

    #[test]
    fn whatever_is_counted_is_what_the_parser_sees(source in "[-({\\[%})\\]a1 '\"|#\n]{0,300}") {
        // What the count lets through, the parser takes on a small stack; it may refuse it.
        on_a_small_stack(move || {
            let _ = check("t.txt", &source);
        });
    }
}
