//! The decision rule, especially when clocks change.

use jiff::{SignedDuration, tz::TimeZone};
use proptest::prelude::*;

use super::*;
use crate::notification::preferences::{QuietHours, TimeOfDay};

const ORDINARY: &str = "task.assigned";
const HOTFIX: &str = "task.hotfix_added";

fn quiet(start: &str, end: &str, zone: &str, mode: Mode) -> Preferences {
    Preferences {
        quiet_hours: QuietHours {
            enabled: true,
            start: start.parse().unwrap(),
            end: end.parse().unwrap(),
            time_zone: Some(zone.parse().unwrap()),
            mode,
        },
        ..Preferences::default()
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Asserts that an ordinary notification is deferred until this time.
#[track_caller]
fn deferred(window: (&str, &str), zone: &str, now: &str, until: &str) {
    let decision = quiet(window.0, window.1, zone, Mode::Defer).decide(ORDINARY, time(now));
    assert_eq!(decision, Decision::Defer(time(until)), "{zone} at {now}");
}

#[track_caller]
fn delivered(window: (&str, &str), zone: &str, now: &str) {
    let decision = quiet(window.0, window.1, zone, Mode::Defer).decide(ORDINARY, time(now));
    assert_eq!(decision, Decision::Deliver, "{zone} at {now}");
}

const NIGHT: (&str, &str) = ("22:00", "07:00");

#[test]
fn by_default_everything_is_sent() {
    let preferences = Preferences::default();
    for kind in [ORDINARY, HOTFIX, SYSTEM_ERROR, "order-placed"] {
        let decision = preferences.decide(kind, time("2026-01-01T03:00:00Z"));
        assert_eq!(decision, Decision::Deliver);
    }
}

#[test]
fn any_type_can_be_turned_off() {
    let mut preferences = quiet("22:00", "07:00", "UTC", Mode::Defer);
    preferences.email = false;
    for kind in [ORDINARY, HOTFIX, SYSTEM_ERROR] {
        preferences.muted = [kind.to_owned()].into();
        let decision = preferences.decide(kind, time("2026-01-01T03:00:00Z"));
        assert_eq!(decision, Decision::Suppress(Suppression::TypeOff));
    }
}

#[test]
fn without_email_only_system_errors_are_sent() {
    let preferences = Preferences {
        email: false,
        ..Preferences::default()
    };
    let now = time("2026-01-01T12:00:00Z");
    let off = Decision::Suppress(Suppression::EmailOff);
    assert_eq!(preferences.decide(ORDINARY, now), off);
    assert_eq!(preferences.decide(HOTFIX, now), off);
    assert_eq!(preferences.decide(SYSTEM_ERROR, now), Decision::Deliver);
}

#[test]
fn a_hotfix_and_a_system_error_break_through_quiet_hours() {
    for mode in [Mode::Skip, Mode::Defer] {
        let preferences = quiet("22:00", "07:00", "UTC", mode);
        let now = time("2026-01-01T03:00:00Z");
        assert_eq!(preferences.decide(HOTFIX, now), Decision::Deliver);
        assert_eq!(preferences.decide(SYSTEM_ERROR, now), Decision::Deliver);
    }
}

#[test]
fn mode_skip_suppresses_in_quiet_hours() {
    let preferences = quiet("22:00", "07:00", "UTC", Mode::Skip);
    let skipped = Decision::Suppress(Suppression::QuietHours);
    let decide = |now| preferences.decide(ORDINARY, time(now));
    assert_eq!(decide("2026-01-01T21:59:59.999Z"), Decision::Deliver);
    assert_eq!(decide("2026-01-01T22:00:00Z"), skipped);
    assert_eq!(decide("2026-01-02T06:59:59.999Z"), skipped);
    assert_eq!(decide("2026-01-02T07:00:00Z"), Decision::Deliver);
}

#[test]
fn a_window_across_midnight_ends_in_the_morning() {
    deferred(NIGHT, "UTC", "2026-01-01T22:00:00Z", "2026-01-02T07:00:00Z");
    deferred(NIGHT, "UTC", "2026-01-02T00:00:00Z", "2026-01-02T07:00:00Z");
    delivered(NIGHT, "UTC", "2026-01-02T07:00:00Z");
}

#[test]
fn a_window_within_a_day_ends_on_that_day() {
    let siesta = ("13:00", "15:30");
    deferred(
        siesta,
        "UTC",
        "2026-01-01T13:00:00.001Z",
        "2026-01-01T15:30:00Z",
    );
    delivered(siesta, "UTC", "2026-01-01T12:59:59.999Z");
    delivered(siesta, "UTC", "2026-01-01T15:30:00Z");
}

#[test]
fn quiet_hours_default_to_the_users_time_zone() {
    let mut preferences = quiet("22:00", "07:00", "UTC", Mode::Defer);
    preferences.quiet_hours.time_zone = None;
    preferences.time_zone = "Asia/Kathmandu".parse().unwrap();
    // 22:45 in Kathmandu, which is 5:45 ahead.
    let decision = preferences.decide(ORDINARY, time("2026-01-01T17:00:00Z"));
    assert_eq!(decision, Decision::Defer(time("2026-01-02T01:15:00Z")));
}

// Clock changes in 2026: Berlin on 29 March at 02:00 (to 03:00) and 25 October at 03:00 (to 02:00);
// New York on 8 March and 1 November at 02:00; Lord Howe Island, by half an hour only, on 5 April
// at 02:00 (to 01:30) and 4 October at 02:00 (to 02:30).

#[test]
fn the_night_in_which_clocks_go_forward_is_an_hour_shorter() {
    deferred(
        NIGHT,
        "Europe/Berlin",
        "2026-03-28T22:00:00Z",
        "2026-03-29T05:00:00Z",
    );
    deferred(
        NIGHT,
        "America/New_York",
        "2026-03-08T04:00:00Z",
        "2026-03-08T11:00:00Z",
    );
    deferred(
        NIGHT,
        "Australia/Lord_Howe",
        "2026-10-03T12:00:00Z",
        "2026-10-03T20:00:00Z",
    );
}

#[test]
fn the_night_in_which_clocks_go_back_is_an_hour_longer() {
    deferred(
        NIGHT,
        "Europe/Berlin",
        "2026-10-24T21:00:00Z",
        "2026-10-25T06:00:00Z",
    );
    deferred(
        NIGHT,
        "America/New_York",
        "2026-11-01T03:00:00Z",
        "2026-11-01T12:00:00Z",
    );
    deferred(
        NIGHT,
        "Australia/Lord_Howe",
        "2026-04-04T12:00:00Z",
        "2026-04-04T20:30:00Z",
    );
}

#[test]
fn an_end_within_the_gap_comes_with_the_change() {
    // There is no 02:30; at 03:00 the quiet hours are over.
    let short = ("01:00", "02:30");
    deferred(
        short,
        "Europe/Berlin",
        "2026-03-29T00:30:00Z",
        "2026-03-29T01:00:00Z",
    );
    delivered(short, "Europe/Berlin", "2026-03-29T01:00:00Z");
}

#[test]
fn quiet_hours_within_the_gap_do_not_occur_that_day() {
    let gone = ("02:10", "02:50");
    for minute in 0..60 {
        let now = time("2026-03-29T00:30:00Z") + SignedDuration::from_mins(minute);
        let decision = quiet(gone.0, gone.1, "Europe/Berlin", Mode::Defer).decide(ORDINARY, now);
        assert_eq!(decision, Decision::Deliver, "{now}");
    }
}

#[test]
fn quiet_hours_that_come_twice_both_count() {
    let twice = ("02:10", "02:50");
    let berlin = "Europe/Berlin";
    deferred(
        twice,
        berlin,
        "2026-10-25T00:20:00Z",
        "2026-10-25T00:50:00Z",
    );
    delivered(twice, berlin, "2026-10-25T00:50:00Z");
    deferred(
        twice,
        berlin,
        "2026-10-25T01:20:00Z",
        "2026-10-25T01:50:00Z",
    );
    // The clock goes back into the quiet hours: they begin with the change.
    let repeated = ("01:30", "02:30");
    deferred(
        repeated,
        berlin,
        "2026-10-25T00:00:00Z",
        "2026-10-25T00:30:00Z",
    );
    deferred(
        repeated,
        berlin,
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
    );
    // The clock goes back before the end.
    deferred(
        ("01:00", "03:00"),
        berlin,
        "2026-10-25T00:30:00Z",
        "2026-10-25T02:00:00Z",
    );
}

#[test]
fn a_decision_follows_a_clock_that_was_set_back() {
    let preferences = quiet("22:00", "07:00", "Europe/Berlin", Mode::Defer);
    let end = time("2026-01-02T06:00:00Z");
    // The clock is set back after the notification became due: it is quiet again, until the same
    // time.
    let moved_back = end - SignedDuration::from_hours(2);
    let again = preferences.decide(ORDINARY, moved_back);
    assert_eq!(again, Decision::Defer(end));
    assert_eq!(preferences.decide(ORDINARY, end), Decision::Deliver);
}

/// Whether the local time is within the quiet hours; `start` and `end` are minutes of the day.
fn is_quiet(start: u16, end: u16, zone: &TimeZone, at: Timestamp) -> bool {
    let wall = at.to_zoned(zone.clone());
    let minute = wall.hour() as u16 * 60 + wall.minute() as u16;
    let since_start = (minute + 1440 - start) % 1440;
    since_start < (end + 1440 - start) % 1440
}

fn of_minutes(minutes: u16) -> TimeOfDay {
    let text = format!("{:02}:{:02}", minutes / 60, minutes % 60);
    text.parse().unwrap()
}

/// Times around every clock change of the year, and other times.
fn some_time() -> impl Strategy<Value = Timestamp> {
    const CHANGES: &[&str] = &[
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-03-08T07:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-04-04T15:00:00Z",
        "2026-10-03T15:30:00Z",
    ];
    let near = (prop::sample::select(CHANGES), -100_000_i64..100_000)
        .prop_map(|(change, seconds)| time(change) + SignedDuration::from_secs(seconds));
    let any = (1_700_000_000_i64..1_900_000_000)
        .prop_map(|second| Timestamp::from_second(second).unwrap());
    prop_oneof![near, any]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_deferred_notification_is_due_at_the_first_moment_outside_quiet_hours(
        start in 0_u16..1440,
        length in 1_u16..1440,
        zone in prop::sample::select(vec![
            "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC",
        ]),
        now in some_time(),
    ) {
        let end = (start + length) % 1440;
        let mut preferences = quiet("00:00", "00:01", zone, Mode::Defer);
        preferences.quiet_hours.start = of_minutes(start);
        preferences.quiet_hours.end = of_minutes(end);
        let rules = TimeZone::get(zone).unwrap();
        let quiet_at = |at| is_quiet(start, end, &rules, at);
        match preferences.decide(ORDINARY, now) {
            Decision::Deliver => prop_assert!(!quiet_at(now)),
            Decision::Defer(until) => {
                prop_assert!(quiet_at(now));
                prop_assert!(!quiet_at(until), "{until} is quiet");
                // Every minute before it is quiet, and so is the last millisecond.
                let mut before = until - SignedDuration::from_millis(1);
                while before >= now {
                    prop_assert!(quiet_at(before), "{before} is not quiet, {until} is told");
                    before -= SignedDuration::from_secs(60);
                }
            }
            Decision::Suppress(reason) => prop_assert!(false, "{reason}"),
        }
    }
}
