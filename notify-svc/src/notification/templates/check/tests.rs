//! What cannot be saved, and how it is told.

use serde_json::json;

use super::*;
use crate::notification::templates::built_in;

const OWN: &str = "order-placed";

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other}"),
    }
}

fn order() -> Content {
    Content {
        source: Source {
            subject: "Order {{ orderId }}".to_owned(),
            text: "Hello {{ recipient }}, order {{ orderId }}{% if note %}: {{ note }}{% endif %}"
                .to_owned(),
            html: "<p>{{ orderId }}, see {{ publicUrl }}</p>".to_owned(),
        },
        sample: Some(fields(json!({"orderId": "A-1", "note": null}))),
    }
}

fn checked(kind: &str, content: &Content) -> Vec<(&'static str, String)> {
    let templates = Templates::built_in("https://slipway.example.com");
    let flaws = check(&templates, kind, content).err().unwrap_or_default();
    flaws
        .into_iter()
        .map(|flaw| (flaw.field, flaw.message))
        .collect()
}

/// The order with this text, which must have one flaw; what is said of it.
#[track_caller]
fn refused_text(text: &str) -> String {
    let mut content = order();
    content.source.text = text.to_owned();
    let flaws = checked(OWN, &content);
    let [("text", message)] = flaws.as_slice() else {
        panic!("{flaws:?}")
    };
    message.clone()
}

#[test]
fn a_text_has_no_control_characters_but_line_breaks_and_tabs() {
    for control in ["\0", "\u{1b}[31m", "\u{7f}", "\u{9b}"] {
        let mut content = order();
        content.source.text.push_str(control);
        content.source.html.push_str(control);
        let flaws = checked(OWN, &content);
        let message = "must not contain control characters other than line breaks and tabs";
        let expected = ["text", "html"].map(|field| (field, message.to_owned()));
        assert_eq!(flaws, expected, "{control:?}");
    }
    let mut content = order();
    content.source.text.push_str("\r\n\tone\n");
    assert_eq!(checked(OWN, &content), []);
}

#[test]
fn a_subject_is_one_visible_line_that_turns_nothing_around() {
    for (subject, expected) in [
        ("Order\n{{ orderId }}\n", None),
        ("\u{200b}\u{3164}", Some("must not come out empty")),
        ("gpj\u{202e}exe", Some("comes out with control characters")),
        ("a\u{1b}[31m", Some("comes out with control characters")),
    ] {
        let mut content = order();
        content.source.subject = subject.to_owned();
        let flaws = checked(OWN, &content);
        let message = flaws
            .iter()
            .find(|flaw| flaw.0 == "subject")
            .map(|flaw| flaw.1.as_str());
        match expected {
            None => assert_eq!(flaws, [], "{subject:?}"),
            Some(start) => assert!(message.is_some_and(|m| m.starts_with(start)), "{flaws:?}"),
        }
    }
}

#[test]
fn what_came_with_slipway_can_be_saved() {
    for kind in built_in::kinds() {
        let source = built_in::source(kind).unwrap();
        let content = Content {
            source,
            sample: None,
        };
        assert_eq!(checked(kind, &content), []);
    }
}

#[test]
fn a_type_of_ones_own_can_be_saved() {
    assert_eq!(checked(OWN, &order()), []);
    let mut with_layout = order();
    with_layout.source.html = "{% extends \"layout.html\" %}{% block heading %}{{ orderId }}\
         {% endblock %}{% block facts %}{% with facts = [[\"Order\", orderId]] %}\
         {% include \"facts.html\" %}{% endwith %}{% endblock %}"
        .to_owned();
    assert_eq!(checked(OWN, &with_layout), []);
}

#[test]
fn what_is_malformed_is_told_with_its_line() {
    let message = refused_text("one\ntwo {{ orderId \nthree");
    assert!(message.contains("syntax error"), "{message}");
    assert!(
        message.contains("line 2") || message.contains("line 3"),
        "{message}"
    );
    let message = refused_text("one\n{{ orderId | shout }}");
    assert!(
        message.contains("shout") && message.contains("line 2"),
        "{message}"
    );
}

#[test]
fn a_variable_that_the_type_does_not_have_is_named() {
    let message = refused_text("{{ orderID }}");
    assert_eq!(
        message,
        "uses orderID, which is no variable of this type; there are orderId, note, recipient, \
         publicUrl"
    );
    let null = refused_text("{% if note == null %}none{% endif %}");
    assert!(
        null.starts_with("uses null, and no value is written none;"),
        "{null}"
    );
    let mut subject = order();
    subject.source.subject = "For {{ recipient }}".to_owned();
    let message = "uses recipient, which only the text and the HTML have; there are orderId, note, \
                   publicUrl";
    assert_eq!(checked(OWN, &subject), [("subject", message.to_owned())]);
}

#[test]
fn what_a_refusal_says_to_write_can_be_saved() {
    for kind in built_in::kinds() {
        let with = |text: &str| {
            let mut source = built_in::source(kind).unwrap();
            source.text = text.to_owned();
            let content = Content {
                source,
                sample: None,
            };
            checked(kind, &content)
        };
        let unknown = with("{{ nobody }}").remove(0).1;
        for name in sample::of(kind).unwrap().keys() {
            assert!(unknown.contains(name), "{unknown}");
            let flaws = with(&format!("A {{{{ {name} }}}}"));
            if !sample::optional(name) {
                assert_eq!(flaws, []);
                continue;
            }
            let advice = format!("{name}|default(\"\")");
            assert!(flaws[0].1.contains(&advice), "{flaws:?}");
            assert_eq!(with(&format!("A {{{{ {advice} }}}}")), []);
        }
    }
    let within = refused_text("{{ orderId.note }}");
    assert!(within.contains("a.b|default(\"\")"), "{within}");
    let included = "{% set facts = [['Note', note]] %}{% include \"facts.html\" %}";
    let included = refused_text(included);
    assert!(included.contains("note|default(\"\")"), "{included}");
}

#[test]
fn a_variable_that_may_be_missing_must_be_asked_for() {
    assert!(refused_text("{{ note }}").contains("undefined"));
    let mut source = built_in::source("task.assigned").unwrap();
    source.subject = "From {{ actor }}".to_owned();
    let content = Content {
        source,
        sample: None,
    };
    let flaws = checked("task.assigned", &content);
    assert_eq!(flaws.len(), 1);
    assert!(flaws[0].1.contains("undefined"), "{flaws:?}");
}

#[test]
fn what_does_not_come_to_an_end_is_refused() {
    let mut content = order();
    content.sample = Some(fields(
        json!({"orderId": "x".repeat(9000), "note": null, "list": vec![1; 900]}),
    ));
    for (text, message) in [
        (
            "{% for a in list %}{% for b in list %}{% endfor %}{% endfor %}",
            "cannot be rendered: it takes too many steps",
        ),
        (
            "{% for a in list %}{{ orderId }}{% endfor %}",
            "cannot be rendered: it writes more than 256 KiB",
        ),
    ] {
        content.source.text = text.to_owned();
        content.source.subject = "An order".to_owned();
        let flaws = checked(OWN, &content);
        assert_eq!(flaws.len(), 1, "{flaws:?}");
        assert!(flaws[0].1.starts_with(message), "{flaws:?}");
    }
}

#[test]
fn what_is_not_of_the_language_is_told_with_its_field_and_line() {
    let message = refused_text(&format!("one\n{{{{ {}1 }}}}", "-".repeat(8000)));
    assert_eq!(
        message,
        "is not valid: an expression may have at most 250 parts (order-placed.txt, line 2)"
    );
    assert!(refused_text("{{ 'x' * 9 }}").starts_with("is not valid: * multiplies numbers only"));
}

#[test]
fn sizes_are_bounded() {
    let mut content = order();
    content.source.subject = "x".repeat(10_000);
    content.source.text = "x".repeat(LONGEST_TEXT + 1);
    content.source.html = String::new();
    content.sample = Some(fields(json!({"text": "x".repeat(LONGEST_DATA)})));
    let flaws = checked(OWN, &content);
    let fields: Vec<_> = flaws.into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["subject", "text", "html", "sample"]);
}

#[test]
fn a_subject_comes_out_as_one_that_is_sent() {
    let mut content = order();
    content.source.subject = "x".repeat(201);
    let long = "comes out with 201 characters, of which 200 are sent".to_owned();
    assert_eq!(checked(OWN, &content), [("subject", long)]);
    content.source.subject = "{{ note }}{% if note %}x{% endif %} ".to_owned();
    assert_eq!(checked(OWN, &content)[0].0, "subject");
}

#[test]
fn a_sample_is_for_types_of_ones_own() {
    let mut content = order();
    content.sample = None;
    assert_eq!(checked(OWN, &content)[0].0, "sample");
    for name in ["recipient", " ", "a\n", "\u{202e}"] {
        content.sample = Some(fields(json!({"orderId": 1, "note": null, name: "eve"})));
        assert_eq!(checked(OWN, &content)[0].0, "sample", "{name:?}");
    }
    assert_eq!(checked("task.assigned", &order())[0].0, "sample");
}
