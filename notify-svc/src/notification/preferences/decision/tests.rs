//! The rule, above all where clocks are changed.

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

/// What becomes of an ordinary notification with these quiet hours, to be deferred.
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
fn who_has_chosen_nothing_gets_everything() {
    let preferences = Preferences::default();
    for kind in [ORDINARY, HOTFIX, SYSTEM_ERROR, "order-placed"] {
        let decision = preferences.decide(kind, time("2026-01-01T03:00:00Z"));
        assert_eq!(decision, Decision::Deliver);
    }
}

#[test]
fn a_type_that_is_switched_off_is_suppressed_whatever_it_is() {
    let mut preferences = quiet("22:00", "07:00", "UTC", Mode::Defer);
    preferences.email = false;
    for kind in [ORDINARY, HOTFIX, SYSTEM_ERROR] {
        preferences.muted = [kind.to_owned()].into();
        let decision = preferences.decide(kind, time("2026-01-01T03:00:00Z"));
        assert_eq!(decision, Decision::Suppress(Suppression::TypeOff));
    }
}

#[test]
fn without_email_only_system_errors_are_told() {
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
fn what_is_to_be_skipped_is_suppressed_while_it_is_quiet() {
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
fn quiet_hours_are_where_the_recipient_lives_unless_they_say_otherwise() {
    let mut preferences = quiet("22:00", "07:00", "UTC", Mode::Defer);
    preferences.quiet_hours.time_zone = None;
    preferences.time_zone = "Asia/Kathmandu".parse().unwrap();
    // 22:45 in Kathmandu, which is 5:45 ahead.
    let decision = preferences.decide(ORDINARY, time("2026-01-01T17:00:00Z"));
    assert_eq!(decision, Decision::Defer(time("2026-01-02T01:15:00Z")));
}

// Berlin: at 02:00 of 29 March 2026 it is 03:00; at 03:00 of 25 October it is 02:00 again.
// New York: 8 March and 1 November, at 02:00. Lord Howe Island: half an hour only, 5 April
// (at 02:00 it is 01:30 again) and 4 October (at 02:00 it is 02:30).

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
fn an_end_that_is_left_out_comes_with_the_change() {
    // 02:30 does not come; at 03:00 it is over.
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
fn a_window_that_is_left_out_is_not_there_that_day() {
    let gone = ("02:10", "02:50");
    for minute in 0..60 {
        let now = time("2026-03-29T00:30:00Z") + SignedDuration::from_mins(minute);
        let decision = quiet(gone.0, gone.1, "Europe/Berlin", Mode::Defer).decide(ORDINARY, now);
        assert_eq!(decision, Decision::Deliver, "{now}");
    }
}

#[test]
fn a_window_that_comes_twice_is_quiet_twice() {
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
    // The clock goes back into the window: it begins with the change.
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
    // It goes back before the end has come.
    deferred(
        ("01:00", "03:00"),
        berlin,
        "2026-10-25T00:30:00Z",
        "2026-10-25T02:00:00Z",
    );
}

#[test]
fn a_clock_that_was_moved_is_asked_again() {
    let preferences = quiet("22:00", "07:00", "Europe/Berlin", Mode::Defer);
    let end = time("2026-01-02T06:00:00Z");
    // Due, and then the clock is put back: it is still quiet, until the same time.
    let moved_back = end - SignedDuration::from_hours(2);
    let again = preferences.decide(ORDINARY, moved_back);
    assert_eq!(again, Decision::Defer(end));
    assert_eq!(preferences.decide(ORDINARY, end), Decision::Deliver);
}

/// Whether the clock on the wall shows a quiet time: in minutes of the day.
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

/// Times around every change of clocks of the year, and any other.
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
    fn what_is_deferred_comes_at_the_first_moment_that_is_not_quiet(
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
