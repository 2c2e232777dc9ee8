//! Tests of rules and dates. `vectors.json` has dates by an independent implementation;
//! `vectors.py` made it.

use jiff::{
    SignedDuration,
    civil::{Date, date, time},
};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// A rule with its dates by another implementation.
#[derive(Deserialize)]
struct Vector {
    zone: String,
    start: Timestamp,
    rule: String,
    next: Vec<Timestamp>,
    /// Whether there are no further dates.
    ends: bool,
}

fn draft(rule: &str, zone: &str) -> RecurrenceDraft {
    RecurrenceDraft {
        rule: Rule::new(rule).unwrap(),
        time_zone: zone.parse().unwrap(),
        release: None,
    }
}

/// The dates of a series from its start on, each by the occurrence before, at most `count`.
fn dates(rule: &str, zone: &str, start: Timestamp, count: usize) -> Vec<Timestamp> {
    let RecurrenceDraft {
        rule, time_zone, ..
    } = draft(rule, zone);
    let mut occurrence = Recurrence {
        rule,
        time_zone,
        release: None,
        start,
        date: start,
        next: None,
    };
    let mut dates = Vec::new();
    while dates.len() < count
        && let Some(date) = occurrence.date_after(occurrence.date).unwrap()
    {
        dates.push(date);
        occurrence.date = date;
    }
    dates
}

/// The same dates in local time, as text.
fn local(rule: &str, zone: &str, start: &str, count: usize) -> Vec<String> {
    let rules = zone.parse::<Zone>().unwrap();
    let at = |text: &str| rules.rules().to_timestamp(text.parse().unwrap()).unwrap();
    let shown = |time: Timestamp| rules.rules().to_datetime(time).to_string();
    let dates = dates(rule, zone, at(start), count);
    dates.into_iter().map(shown).collect()
}

fn wrong(rule: &str) -> String {
    Rule::new(rule).unwrap_err().to_string()
}

#[test]
fn the_dates_are_those_of_an_independent_implementation() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(vectors.len() >= 200);
    let mut different = Vec::new();
    for vector in vectors {
        let Vector {
            zone,
            start,
            rule,
            next,
            ends,
        } = vector;
        let found = dates(&rule, &zone, start, next.len() + usize::from(ends));
        if found != next {
            different.push(format!(
                "{rule} from {start} in {zone}:\n {found:?}\n {next:?}"
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_month_without_the_day_has_its_last_day_and_the_next_has_the_day_again() {
    let from_31 = local("FREQ=MONTHLY", "UTC", "2023-12-31T09:00", 4);
    let expected = ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"];
    assert_eq!(from_31, expected.map(|day| format!("{day}T09:00:00")));
    let leap = local("FREQ=YEARLY", "UTC", "2024-02-29T09:00", 4);
    let expected = ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"];
    assert_eq!(leap, expected.map(|day| format!("{day}T09:00:00")));
    let named = local("FREQ=MONTHLY;BYMONTHDAY=31", "UTC", "2023-12-31T09:00", 2);
    let skipped = ["2024-01-31T09:00:00", "2024-03-31T09:00:00"];
    assert_eq!(named, skipped, "a day that is named is not replaced");
}

#[test]
fn a_local_time_stays_over_changes_of_the_clocks() {
    let nine = local("FREQ=DAILY", "Europe/Berlin", "2025-03-29T09:00", 2);
    assert_eq!(nine, ["2025-03-30T09:00:00", "2025-03-31T09:00:00"]);
    let skipped = local("FREQ=DAILY", "Europe/Berlin", "2025-03-29T02:30", 2);
    assert_eq!(skipped, ["2025-03-30T03:30:00", "2025-03-31T02:30:00"]);
    let start = "2025-10-25T00:30:00Z".parse().unwrap();
    let twice = dates("FREQ=DAILY", "Europe/Berlin", start, 1);
    assert_eq!(
        twice,
        ["2025-10-26T00:30:00Z".parse().unwrap()],
        "the first"
    );
}

#[test]
fn dates_that_have_passed_are_left_out_and_count() {
    let start: Timestamp = "2025-01-06T09:00:00Z".parse().unwrap();
    let day = |days: i64| start + SignedDuration::from_hours(24 * days);
    let daily = draft("FREQ=DAILY;COUNT=5", "UTC").starting(start).unwrap();
    assert_eq!(daily.date_after(start).unwrap(), Some(day(1)));
    let late = start + SignedDuration::from_hours(3 * 24 + 1);
    assert_eq!(daily.date_after(late).unwrap(), Some(day(4)));
    assert_eq!(daily.date_after(day(4)).unwrap(), None);
    let other_weeks = draft("FREQ=WEEKLY;INTERVAL=2", "UTC").starting(start);
    let after_three = other_weeks.unwrap().date_after(day(21)).unwrap();
    assert_eq!(after_three, Some(day(28)), "the pace stays");
}

#[test]
fn an_occurrence_that_was_moved_forward_is_not_repeated() {
    let start: Timestamp = "2025-01-06T09:00:00Z".parse().unwrap();
    let weekly = draft("FREQ=WEEKLY", "UTC").starting(start).unwrap();
    let before = start - SignedDuration::from_hours(48);
    let next = start + SignedDuration::from_hours(7 * 24);
    assert_eq!(weekly.date_after(before).unwrap(), Some(next));
}

#[test]
fn a_series_has_a_second_date_in_the_years_that_a_task_can_be_due() {
    let start: Timestamp = "2025-01-06T09:00:00Z".parse().unwrap();
    for rule in [
        "FREQ=DAILY;COUNT=1",
        "FREQ=DAILY;UNTIL=20250106",
        "FREQ=DAILY;UNTIL=19990101",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;INTERVAL=200",
        "FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=3;BYSETPOS=3",
    ] {
        let refused = draft(rule, "UTC").starting(start).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "has no date after the first due time",
            "{rule}"
        );
    }
    assert!(
        draft("FREQ=YEARLY;INTERVAL=175", "UTC")
            .starting(start)
            .is_ok()
    );
}

#[test]
fn a_rule_is_stored_in_upper_case() {
    let rule = Rule::new(" freq=weekly;byday=mo ").unwrap();
    assert_eq!(rule.as_str(), "FREQ=WEEKLY;BYDAY=MO");
    assert_eq!(serde_json::to_value(&rule).unwrap(), "FREQ=WEEKLY;BYDAY=MO");
}

#[test]
fn what_is_no_rule_is_refused_with_the_reason() {
    for (rule, reason) in [
        (
            "",
            "must be a rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=MO,FR",
        ),
        ("every Monday", "must be a rule of RFC 5545"),
        ("FREQ=DAILY;", "must be a rule of RFC 5545"),
        ("RRULE:FREQ=DAILY", "may have only FREQ, INTERVAL, COUNT,"),
        ("FREQ=DAILY;DTSTART=20250101T090000Z", "may have only FREQ,"),
        (
            "FREQ=DAILY\nEXDATE:20250101T090000Z",
            "must have DAILY, WEEKLY, MONTHLY or YEARLY as FREQ",
        ),
        (
            "DTSTART:20250101T090000Z\nRRULE:FREQ=DAILY",
            "may have only FREQ,",
        ),
        (
            "INTERVAL=2",
            "must have DAILY, WEEKLY, MONTHLY or YEARLY as FREQ",
        ),
        (
            "FREQ=HOURLY",
            "must have DAILY, WEEKLY, MONTHLY or YEARLY as FREQ",
        ),
        (
            "FREQ=MINUTELY",
            "must have DAILY, WEEKLY, MONTHLY or YEARLY as FREQ",
        ),
        (
            "FREQ=SECONDLY",
            "must have DAILY, WEEKLY, MONTHLY or YEARLY as FREQ",
        ),
        (
            "FREQ=DAILY;BYHOUR=9",
            "must not have BYHOUR, BYMINUTE or BYSECOND",
        ),
        ("FREQ=DAILY;FREQ=WEEKLY", "has FREQ more than once"),
        (
            "FREQ=DAILY;COUNT=3;UNTIL=20260101",
            "must not have both COUNT and UNTIL",
        ),
        (
            "FREQ=DAILY;COUNT=0",
            "must have a number from 1 to 100000 as COUNT",
        ),
        ("FREQ=DAILY;COUNT=+3", "as COUNT"),
        (
            "FREQ=DAILY;INTERVAL=0",
            "must have a number from 1 to 9999 as INTERVAL",
        ),
        ("FREQ=DAILY;INTERVAL=-1", "as INTERVAL"),
        (
            "FREQ=DAILY;UNTIL=2026-01-01",
            "must have a date, such as 20261231, or a time",
        ),
        ("FREQ=DAILY;UNTIL=20260230", "as UNTIL"),
        ("FREQ=DAILY;UNTIL=20260101T250000Z", "as UNTIL"),
        (
            "FREQ=WEEKLY;BYDAY=XMO",
            "must have weekdays, such as MO, 1MO or -1FR, as BYDAY",
        ),
        ("FREQ=WEEKLY;BYDAY=MONDAY", "as BYDAY"),
        ("FREQ=WEEKLY;BYDAY=", "as BYDAY"),
        ("FREQ=MONTHLY;BYDAY=0MO", "as BYDAY"),
        ("FREQ=MONTHLY;BYDAY=ÄÖ", "as BYDAY"),
        (
            "FREQ=WEEKLY;BYDAY=1MO",
            "may number the weekdays of BYDAY only with FREQ=MONTHLY",
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=32",
            "must have numbers from 1 to 31, or negative ones, as BYMONTHDAY",
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "as BYMONTHDAY"),
        (
            "FREQ=YEARLY;BYMONTH=-1",
            "must have numbers from 1 to 12 as BYMONTH",
        ),
        (
            "FREQ=WEEKLY;BYMONTHDAY=1",
            "must not have BYMONTHDAY with FREQ=WEEKLY",
        ),
        (
            "FREQ=MONTHLY;BYWEEKNO=1",
            "must not have BYWEEKNO with FREQ=MONTHLY",
        ),
        (
            "FREQ=DAILY;BYYEARDAY=1",
            "must not have BYYEARDAY with FREQ=DAILY",
        ),
        (
            "FREQ=MONTHLY;BYSETPOS=1",
            "has BYSETPOS, which needs another part",
        ),
        (
            "FREQ=WEEKLY;WKST=XX",
            "must have a weekday, such as MO, as WKST",
        ),
        ("FREQ=DAILY;X-FOO=1", "may have only FREQ,"),
    ] {
        let wrong = wrong(rule);
        assert!(wrong.contains(reason), "{rule}: {wrong}");
    }
    let long = format!("FREQ=YEARLY;BYYEARDAY={}", vec!["1"; 120].join(","));
    assert_eq!(wrong(&long), "must have at most 255 characters");
}

/// Rules of each kind; some have no date after some starts.
fn rules() -> impl Strategy<Value = String> {
    let interval = 1..6_u8;
    let weekdays = prop::sample::subsequence(vec!["MO", "TU", "WE", "TH", "FR", "SA", "SU"], 1..4);
    let plain = prop::sample::select(vec!["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]);
    let end = prop_oneof![
        Just(String::new()),
        (2..40_u8).prop_map(|count| format!(";COUNT={count}")),
        (2026..2040_u16).prop_map(|year| format!(";UNTIL={year}0615")),
    ];
    let by = prop_oneof![
        3 => plain.prop_map(str::to_owned),
        1 => weekdays.clone().prop_map(|days| format!("WEEKLY;BYDAY={}", days.join(","))),
        1 => weekdays.prop_map(|days| format!("MONTHLY;BYDAY={};BYSETPOS=-1", days.join(","))),
        1 => (-31..=31_i8).prop_filter("no day", |day| *day != 0)
            .prop_map(|day| format!("MONTHLY;BYMONTHDAY={day}")),
        1 => (1..=12_u8).prop_map(|month| format!("YEARLY;BYMONTH={month}")),
    ];
    (by, interval, end)
        .prop_map(|(by, interval, end)| format!("FREQ={by};INTERVAL={interval}{end}"))
}

fn starts() -> impl Strategy<Value = (&'static str, Timestamp)> {
    let zones = vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
    ];
    let days = 0..3_000_i32;
    (prop::sample::select(zones), days, 0..24_i8, 0..60_i8).prop_map(|(zone, day, hour, minute)| {
        let day: Date = date(2024, 1, 1)
            .checked_add(jiff::Span::new().days(day))
            .unwrap();
        let local = day.to_datetime(time(hour, minute, 0, 0));
        let rules = zone.parse::<Zone>().unwrap();
        (zone, rules.rules().to_timestamp(local).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn dates_go_forward_at_the_local_time_of_the_start(rule in rules(), (zone, start) in starts()) {
        let rules = zone.parse::<Zone>().unwrap();
        let found = dates(&rule, zone, start, 12);
        let all: Vec<_> = [start].into_iter().chain(found).collect();
        prop_assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
        let start = rules.rules().to_datetime(start);
        for time in all {
            let local = rules.rules().to_datetime(time);
            let at = local.date().to_datetime(start.time());
            let is_skipped = rules.rules().to_ambiguous_timestamp(at).is_ambiguous();
            prop_assert!(local.time() == start.time() || is_skipped, "{local} for {at}");
        }
    }

    #[test]
    fn a_late_completion_does_not_shift_the_series(
        rule in rules(),
        (zone, start) in starts(),
        late in 0..2_000_i64,
    ) {
        let time = start + SignedDuration::from_hours(late);
        let asked = draft(&rule, zone);
        let local = asked.time_zone.rules().to_datetime(start);
        let all = asked.rule.dates_after(local, &asked.time_zone).unwrap();
        let all: Vec<_> = all.take(100).collect();
        let expected = all.iter().copied().find(|date| *date > time);
        match draft(&rule, zone).starting(start) {
            Ok(occurrence) => prop_assert_eq!(occurrence.date_after(time).unwrap(), expected),
            Err(_) => prop_assert!(all.is_empty()),
        }
    }

    #[test]
    fn any_text_is_a_rule_or_refused(text in "\\PC{0,60}") {
        let _ = Rule::new(&text);
    }

    #[test]
    fn what_looks_like_a_rule_is_one_or_is_refused(
        parts in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY",
                    "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS",
                ]),
                prop_oneof![
                    Just("YEARLY".to_owned()), Just("MONTHLY".to_owned()), Just("MO".to_owned()),
                    Just("-1FR,2TU".to_owned()), Just("20300101".to_owned()),
                    (-400..400_i32).prop_map(|number| number.to_string()),
                ],
            ),
            1..5,
        ),
        (zone, start) in starts(),
    ) {
        let parts: Vec<_> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if let Ok(rule) = Rule::new(&format!("FREQ=YEARLY;{}", parts.join(";"))) {
            let draft = RecurrenceDraft { rule, ..draft("FREQ=DAILY", zone) };
            let _ = draft.starting(start);
        }
    }
}
