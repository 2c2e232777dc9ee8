//! Every mail as a snapshot, and what templates may not do.

use serde_json::{Value, json};

use super::*;
use crate::notification::audience;

const URL: &str = "https://slipway.example.com/";

/// Data of each type, as its event has it.
fn samples() -> Vec<(&'static str, Value)> {
    let sample = |kind: &'static str| Some((kind, Value::Object(sample_of(kind)?)));
    built_in::kinds().into_iter().filter_map(sample).collect()
}

#[test]
fn a_mention_in_a_reply_is_told_as_one() {
    let templates = Templates::built_in(URL);
    let mut data = Value::Object(sample_of("comment.replied").unwrap());
    data["because"] = "mention".into();
    let subject = templates.subject("comment.replied", &data).unwrap();
    assert!(subject.as_str().starts_with("grace mentioned you: "));
    let body = templates.body("comment.replied", &data, "ada").unwrap();
    assert!(body.text.contains("mentioned you in a reply"));
    assert!(body.html.contains("you are mentioned") && !body.html.contains("replied to"));
}

#[test]
fn every_type_that_notifies_has_a_sample() {
    let kinds: Vec<_> = samples().into_iter().map(|(kind, _)| kind).collect();
    let mut told: Vec<_> = audience::kinds().collect();
    // Of this one administrators are told by another way.
    told.push("system.error");
    told.sort_unstable();
    assert_eq!(kinds, told);
}

#[test]
fn mails_read_as_they_should() {
    let templates = Templates::built_in(URL);
    for (kind, data) in samples() {
        let subject = templates.subject(kind, &data).unwrap();
        let body = templates.body(kind, &data, "ada").unwrap();
        // Links are as long as they are.
        let words = |line: &&str| !line.contains("https://");
        let mut lines = body.text.lines().filter(words);
        assert!(lines.all(|line| line.len() <= 78), "{}", body.text);
        let text = format!("Subject: {}\n\n{}", subject.as_str(), body.text);
        insta::assert_snapshot!(format!("{kind}.txt"), text);
        insta::assert_snapshot!(format!("{kind}.html"), body.html);
    }
}

#[test]
fn what_is_not_known_of_an_event_is_left_out() {
    let templates = Templates::built_in(URL);
    for (kind, data) in samples() {
        let Value::Object(fields) = data else {
            panic!("{kind}: it has fields")
        };
        let data = Value::Object(sample::lean(fields));
        let body = templates.body(kind, &data, "ada").unwrap();
        assert!(!body.html.contains("Due"), "{kind}");
        assert!(!body.text.contains("due "), "{kind}");
        assert!(!body.text.contains("can start when"), "{kind}");
    }
}

#[test]
fn a_subject_that_nobody_can_see_is_none() {
    let templates = with_template("{{ name }}");
    for blank in ["", " ", "\u{200b}\u{feff}", "\u{202e}"] {
        let refused = templates.subject("bad", &json!({"name": blank}));
        assert!(refused.is_err(), "{blank:?}");
    }
    assert!(templates.subject("bad", &json!({"name": "."})).is_ok());
}

#[test]
fn html_in_names_stays_text() {
    let templates = Templates::built_in(URL);
    let evil = r#"<script>alert("x")</script>"#;
    for (kind, mut data) in samples() {
        if let Some(task) = data.get_mut("task") {
            task["title"] = evil.into();
            task["dueAt"] = evil.into();
            task["id"] = evil.into();
            data["excerpt"] = evil.into();
            data["author"]["username"] = evil.into();
        }
        for field in [
            "taskTitle",
            "releaseName",
            "actor",
            "taskId",
            "startedAt",
            "dueAt",
            "summary",
            "username",
            "email",
        ] {
            if let Some(value) = data.get_mut(field) {
                *value = evil.into();
            }
        }
        let body = templates.body(kind, &data, evil).unwrap();
        assert!(!body.html.contains("<script"), "{kind}: {}", body.html);
        assert!(!body.html.contains(r#""x""#), "{kind}: {}", body.html);
        assert!(body.html.contains("&lt;script&gt;"), "{kind}");
        assert!(body.text.contains(evil), "text is not escaped: {kind}");
    }
}

#[test]
fn an_event_cannot_lead_readers_elsewhere() {
    let templates = Templates::built_in(URL);
    for (kind, mut data) in samples() {
        data["publicUrl"] = "https://evil.example".into();
        data["recipient"] = "eve".into();
        let body = templates.body(kind, &data, "ada").unwrap();
        assert!(!body.html.contains("evil") && !body.text.contains("evil"));
        assert!(body.text.contains("Hello ada"));
        let mut links = body.text.lines().filter(|line| line.contains("://"));
        assert!(links.all(|link| link.contains("https://slipway.example.com")));
        assert!(!body.html.contains("https://evil"));
    }
}

fn with_template(source: &'static str) -> Templates {
    let mut templates = Templates::built_in(URL);
    templates.env.add_template("bad.subject", source).unwrap();
    templates
}

#[test]
fn what_came_with_slipway_takes_a_fiftieth_of_the_fuel() {
    let mut templates = Templates::built_in(URL);
    templates.env.set_fuel(Some(FUEL / 50));
    for (kind, data) in samples() {
        templates.subject(kind, &data).unwrap();
        templates.body(kind, &data, "ada").unwrap();
    }
}

#[test]
fn a_template_that_would_not_end_is_stopped() {
    let endless = "{% for a in list %}{% for b in list %}{% endfor %}{% endfor %}";
    let error = with_template(endless)
        .subject("bad", &json!({"list": vec![1; 500]}))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "it takes too many steps (bad.subject, line 1)"
    );
}

#[test]
fn a_template_that_writes_too_much_is_stopped() {
    let source = "{% for a in list %}{{ text }}{% endfor %}";
    let data = json!({"text": "x".repeat(10_000), "list": vec![1; 500]});
    let error = with_template(source).subject("bad", &data).unwrap_err();
    assert!(
        error.to_string().starts_with("it writes more than 256 KiB"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let error = with_template("\n{{ nobody.name }}").subject("bad", &json!({}));
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("undefined") && text.contains("line 2"),
        "{text}"
    );
    let unknown = with_template("").body("task.unknown", &json!({}), "ada");
    assert!(unknown.is_err());
}

#[test]
fn a_long_subject_is_cut_and_stays_one_line() {
    let subject =
        with_template("{{ text }}").subject("bad", &json!({"text": "x\r\n".repeat(5000)}));
    let subject = subject.unwrap();
    assert_eq!(subject.as_str().chars().count(), 200);
    assert!(!subject.as_str().contains(char::is_control));
}

#[test]
fn times_are_in_the_time_zone_of_the_reader() {
    let templates = Templates::built_in("https://slipway.example.com");
    let data = serde_json::Value::Object(sample_of("task.assigned").unwrap());
    let of = |zone: &str| {
        let reader = Reader {
            name: "ada".to_owned(),
            zone: zone.parse().unwrap(),
        };
        templates.body("task.assigned", &data, reader).unwrap()
    };
    for (zone, expected) in [
        ("UTC", "Monday, 5 January 2026, 16:00 UTC"),
        ("Asia/Tokyo", "Tuesday, 6 January 2026, 01:00 (Asia/Tokyo)"),
    ] {
        let body = of(zone);
        assert!(body.text.contains(expected), "{}", body.text);
        let html = body.html.replace("&#x2f;", "/");
        assert!(html.contains(expected), "{html}");
    }
}
