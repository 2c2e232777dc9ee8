//! Times and durations as people read them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use maud::{Markup, html};
use prost_types::Timestamp as ProtoTime;
use slipway_proto::time::{from_proto, to_proto};
use slipway_rpc::error::Fault;

use crate::fields::Fields;

/// A time of a service's answer; `None` if it is absent.
pub(crate) fn read(time: Option<&ProtoTime>) -> Option<Timestamp> {
    time.and_then(|time| from_proto(*time).ok())
}

/// How long something lasts that ends at a time of a service's answer.
///
/// # Errors
/// If the answer has no such time.
pub(crate) fn left(end: Option<&ProtoTime>, now: Timestamp) -> Result<Duration, Fault> {
    let end = read(end).ok_or_else(|| Fault::internal("an answer without an end"))?;
    Ok(Duration::try_from(end.duration_since(now)).unwrap_or_default())
}

/// A time, relative to `now` while it is near.
pub(crate) fn when(time: Option<&ProtoTime>, now: Timestamp) -> Markup {
    let Some(time) = read(time) else {
        return html! {};
    };
    html! {
        time datetime=(time.to_string()) title=(full(time)) { (near(time, now)) }
    }
}

/// A time as the value of a field for one, in UTC.
pub(crate) fn value(time: Timestamp) -> String {
    let form = match time.as_second() % 60 {
        0 => "%Y-%m-%dT%H:%M",
        _ => "%Y-%m-%dT%H:%M:%S",
    };
    time.to_zoned(TimeZone::UTC).strftime(form).to_string()
}

/// The time in a field. Browsers without scripts send it without an offset: it is in UTC.
pub(crate) fn typed(text: &str) -> Option<Timestamp> {
    let utc = |time: DateTime| time.to_zoned(TimeZone::UTC);
    let time = text.parse::<DateTime>().ok();
    let time = time.and_then(|time| utc(time).ok());
    text.parse()
        .ok()
        .or_else(|| time.map(|time| time.timestamp()))
}

/// The time in the field with this name, which is `path` in the service's request; `None` if it is
/// empty.
///
/// # Errors
/// If it is not a time.
pub(crate) fn sent(fields: &Fields, name: &str, path: &str) -> Result<Option<ProtoTime>, Fault> {
    let Some(text) = fields.filled(name) else {
        return Ok(None);
    };
    match typed(text.trim()) {
        Some(time) => Ok(Some(to_proto(time))),
        None => Err(Fault::invalid_field(path, "must be a day and a time")),
    }
}

/// The day of a time, as a heading.
pub(crate) fn day(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC)
        .strftime("%A, %-d %B %Y")
        .to_string()
}

fn full(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC)
        .strftime("%-d %B %Y, %H:%M:%S UTC")
        .to_string()
}

fn near(time: Timestamp, now: Timestamp) -> String {
    let distance = now.duration_since(time);
    let length = length(distance.abs());
    match distance.abs().as_hours() {
        168.. => time
            .to_zoned(TimeZone::UTC)
            .strftime("%-d %b %Y")
            .to_string(),
        _ if distance.abs() < SignedDuration::from_mins(1) => "just now".to_owned(),
        _ if distance.is_negative() => format!("in {length}"),
        _ => format!("{length} ago"),
    }
}

/// A duration, in its largest unit or two.
pub(crate) fn length(duration: SignedDuration) -> String {
    let minutes = duration.as_mins();
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => "under a minute".to_owned(),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_for_a_time_has_what_was_typed_into_it() {
        let time: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        assert_eq!(value(time), "2026-03-10T12:00");
        assert_eq!(
            value("2026-03-10T12:00:30.5Z".parse().unwrap()),
            "2026-03-10T12:00:30"
        );
        for text in [
            "2026-03-10T12:00",
            "2026-03-10T12:00:00.000Z",
            "2026-03-10T13:00:00+01:00",
        ] {
            assert_eq!(typed(text), Some(time), "{text}");
        }
        for text in ["", "tomorrow", "2026-02-30T12:00"] {
            assert_eq!(typed(text), None, "{text}");
        }
        let fields = Fields::parse(b"due=&from=soon");
        assert_eq!(sent(&fields, "due", "due_at"), Ok(None));
        assert!(sent(&fields, "from", "filter.from").is_err());
    }

    #[test]
    fn times_are_relative_while_they_are_near() {
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        for (time, expected) in [
            ("2026-03-10T11:59:30Z", "just now"),
            ("2026-03-10T11:55:00Z", "5 min ago"),
            ("2026-03-10T09:30:00Z", "2 h 30 min ago"),
            ("2026-03-08T12:10:00Z", "1 d 23 h ago"),
            ("2026-03-10T14:00:00Z", "in 2 h"),
            ("2026-02-01T12:00:00Z", "1 Feb 2026"),
            ("2027-02-01T12:00:00Z", "1 Feb 2027"),
        ] {
            assert_eq!(near(time.parse().unwrap(), now), expected);
        }
    }
}
