use super::*;
use crate::prompt::samples;

#[track_caller]
fn reads(text: &str, expected: &str) {
    let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
    let (when, range) = read(&words, samples::now());
    words.drain(range);
    let found = match when {
        When::Within(Span { from, until, name }) => {
            let until = until.map_or_else(String::new, |until| until.to_string());
            format!("{name}: {from}..{until} ({})", words.join(" "))
        }
        other => format!("{other:?}"),
    };
    assert_eq!(found, expected, "{text}");
}

/// It is a Wednesday, 4 March 2026, 12:00.
#[test]
fn times_are_read_as_people_mean_them() {
    reads(
        "what is new today",
        "today: 2026-03-04T00:00:00Z.. (what is new)",
    );
    reads(
        "what happened yesterday",
        "yesterday: 2026-03-03T00:00:00Z..2026-03-04T00:00:00Z (what happened)",
    );
    reads(
        "what changed since yesterday",
        "since yesterday: 2026-03-03T00:00:00Z.. (what changed)",
    );
    reads("this week", "this week: 2026-03-02T00:00:00Z.. ()");
    reads(
        "last week",
        "last week: 2026-02-23T00:00:00Z..2026-03-02T00:00:00Z ()",
    );
    reads(
        "since last week",
        "since last week: 2026-02-23T00:00:00Z.. ()",
    );
    reads(
        "last month",
        "last month: 2026-02-01T00:00:00Z..2026-03-01T00:00:00Z ()",
    );
    reads(
        "in the last 3 days",
        "in the last 3 days: 2026-03-01T12:00:00Z.. (in the)",
    );
    reads(
        "2 days ago",
        "since 2 March 2026: 2026-03-02T00:00:00Z.. ()",
    );
    reads("since monday", "since Monday: 2026-03-02T00:00:00Z.. ()");
    reads(
        "on friday",
        "on Friday: 2026-02-27T00:00:00Z..2026-02-28T00:00:00Z ()",
    );
    reads(
        "last wednesday",
        "on Wednesday: 2026-02-25T00:00:00Z..2026-02-26T00:00:00Z ()",
    );
    reads(
        "between monday and today",
        "from Monday to today: 2026-03-02T00:00:00Z.. ()",
    );
    reads(
        "from 2026-02-01 to 2026-02-03",
        "from 1 February 2026 to 3 February 2026: \
         2026-02-01T00:00:00Z..2026-02-04T00:00:00Z ()",
    );
    reads(
        "since 2026-02-01",
        "since 1 February 2026: 2026-02-01T00:00:00Z.. ()",
    );
}

#[test]
fn times_of_day_are_taken_out() {
    for (text, rest) in [
        ("what changed at 3am", "what changed"),
        ("what changed at 3 am utc", "what changed"),
        ("what changed at 3", "what changed"),
        ("changed at 03:00", "changed"),
        ("on 2026-03-04t10:00:00z", "on 2026-03-04"),
        ("since 9:30pm", ""),
        ("since 3 oclock today", "today"),
        ("between 2am and 4am", ""),
        ("yesterday at noon", "yesterday"),
    ] {
        let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
        assert!(take_hours(&mut words), "{text}");
        assert_eq!(words.join(" "), rest, "{text}");
    }
    for text in [
        "my next 3 tasks",
        "in the last 3 hours",
        "on 12/03",
        "i am at 3 tasks",
        "team spam",
    ] {
        let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
        assert!(!take_hours(&mut words), "{text}");
    }
}

#[test]
fn a_time_that_is_not_understood_is_not_passed_over() {
    for text in [
        "next week",
        "since easter",
        "last quarter",
        "in june",
        "tomorrow",
        "2027-01-01 week",
        "in 2025",
    ] {
        reads(text, "Unclear");
    }
    reads("what is next", "Unsaid");
    reads("my next 3 tasks", "Unsaid");
}
