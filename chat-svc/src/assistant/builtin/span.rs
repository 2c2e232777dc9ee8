//! The times that a question names: "yesterday", "last week", "in the last 3 days".

use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use super::words::{day, sentence};

/// A time that something has happened in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    /// `None`: until now.
    pub(super) until: Option<Timestamp>,
    /// As it is said in the middle of a sentence: "last week".
    pub(super) name: String,
}

/// What a question says of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum When {
    /// Nothing.
    Unsaid,
    /// A time that has been.
    Within(Span),
    /// A time that is not understood, or that is to come.
    Unclear,
}

pub(super) const DAYS: &[&str] = &[
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Words of times that are not understood by themselves.
pub(super) const UNCLEAR: &[&str] = &[
    "week",
    "weeks",
    "weekend",
    "month",
    "months",
    "year",
    "years",
    "quarter",
    "sprint",
    "days",
    "hours",
    "minutes",
    "ago",
    "since",
    "tomorrow",
    "tonight",
    "morning",
    "afternoon",
    "evening",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// What stands before a time of day.
const BEFORE_HOURS: &[&str] = &[
    "after", "and", "around", "at", "before", "between", "by", "from", "since", "to", "until",
];

/// What stands before a time at which another one begins.
const BEGIN: &[&str] = &["from", "between", "since"];

/// Takes times of day out of the words, such as "at 3 am" and "since 03:00"; whether there
/// were any.
pub(super) fn take_hours(words: &mut Vec<String>) -> bool {
    let (all, mut at) = (words.len(), 0);
    while at < words.len() {
        let length = read_hour(&words[at..]);
        if length == 0 {
            at += 1;
            continue;
        }
        let is_before = |word: &String| BEFORE_HOURS.contains(&&**word);
        let from = at - usize::from(words[..at].last().is_some_and(is_before));
        words.drain(from..at + length);
        at = from;
    }
    words.len() < all
}

/// How many words at the beginning of these are a time of day: "3am", "3 pm", "03 00", "noon".
fn read_hour(words: &[String]) -> usize {
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    let is_number = |text: &str, below: u8| {
        let is_short = (1..=2).contains(&text.len());
        is_short && text.parse().is_ok_and(|number: u8| number < below)
    };
    let half = |text: &str| matches!(text, "am" | "pm" | "a.m" | "p.m" | "oclock");
    // "03:00pm" is two words.
    let without = |text: &str| {
        text.trim_end_matches("am")
            .trim_end_matches("pm")
            .to_owned()
    };
    let minute = without(word(1));
    let length = match word(0) {
        "noon" | "midday" | "midnight" => 1,
        hour if is_number(hour, 25) && minute.len() == 2 && is_number(&minute, 60) => {
            2 + usize::from(half(word(2)))
        }
        hour if is_number(hour, 25) && half(word(1)) => 2,
        hour if is_number(hour, 25) => return 0,
        hour if is_number(&without(hour), 13) => 1,
        "at" if is_number(word(1), 25) && words.len() == 2 => 2,
        _ => return 0,
    };
    length + usize::from(word(length) == "utc")
}

/// What these words say of time, as seen at `now`; what is understood is taken out of them.
pub(super) fn take(words: &mut Vec<String>, now: Timestamp) -> When {
    for at in 0..words.len() {
        let (before, here) = words.split_at(at);
        let Some((mut length, mut span)) = read(here, now) else {
            continue;
        };
        if let Some((more, end)) = read_end(&here[length..], now) {
            length += more;
            span.until = end.until;
            let strip = |name: &str| name.strip_prefix("on ").unwrap_or(name).to_owned();
            span.name = format!("from {} to {}", strip(&span.name), strip(&end.name));
            let from = at - usize::from(before.last().is_some_and(|word| BEGIN.contains(&&**word)));
            words.drain(from..at + length);
            return When::Within(span);
        }
        let mut from = at;
        let open = |word: &String| matches!(word.as_str(), "since" | "from" | "after");
        if before.last().is_some_and(open) {
            from -= 1;
            span.until = None;
            span.name = match span.name.strip_prefix("on ") {
                Some(day) => format!("since {day}"),
                None if span.name.starts_with("in ") || span.name.starts_with("since ") => {
                    span.name
                }
                None => format!("since {}", span.name),
            };
        } else if before.last().is_some_and(|word| word == "on") && span.name.starts_with("on ") {
            from -= 1;
        }
        words.drain(from..at + length);
        return When::Within(span);
    }
    let is_year = |word: &str| matches!(word.parse(), Ok(1970..=2999));
    if words
        .iter()
        .any(|word| UNCLEAR.contains(&word.as_str()) || is_year(word))
    {
        When::Unclear
    } else {
        When::Unsaid
    }
}

/// What it is when nothing is said.
pub(super) fn since_yesterday(now: Timestamp) -> Span {
    Span {
        from: start(today(now).yesterday().unwrap_or(Date::MIN)),
        until: None,
        name: "since yesterday".to_owned(),
    }
}

/// The end of a time that begins before these words: "to Friday".
fn read_end(words: &[String], now: Timestamp) -> Option<(usize, Span)> {
    let (to, end) = words.split_first()?;
    if !matches!(to.as_str(), "to" | "and" | "until" | "till") {
        return None;
    }
    let (length, span) = read(end, now)?;
    Some((length + 1, span))
}

/// The time at the beginning of these words, and how many words it takes.
fn read(words: &[String], now: Timestamp) -> Option<(usize, Span)> {
    let today = today(now);
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    let ago = |days: i64| today.checked_sub(days.days()).unwrap_or(Date::MIN);
    let days = |from: Date, until: Option<Date>, name: &str| Span {
        from: start(from),
        until: until.map(start),
        name: name.to_owned(),
    };
    let recent = |length: SignedDuration, name: String| Span {
        from: now.checked_sub(length).unwrap_or(Timestamp::MIN),
        until: None,
        name,
    };
    let monday = ago(i64::from(today.weekday().to_monday_zero_offset()));
    let this = matches!(word(0), "this" | "current");
    let last = matches!(word(0), "last" | "past" | "previous");
    let one = match (word(0), word(1)) {
        ("today", _) => return Some((1, days(today, None, "today"))),
        ("yesterday", _) => return Some((1, days(ago(1), Some(today), "yesterday"))),
        ("overnight", _) => return Some((1, days(ago(1), None, "since yesterday"))),
        (_, "week") if this => days(monday, None, "this week"),
        (_, "month") if this => days(today.first_of_month(), None, "this month"),
        ("past", "week") => recent(hours(7 * 24), "in the past week".to_owned()),
        ("past", "month") => recent(hours(30 * 24), "in the past 30 days".to_owned()),
        (_, "hour") if last => recent(hours(1), "in the last hour".to_owned()),
        (_, "day") if last => recent(hours(24), "in the last 24 hours".to_owned()),
        (_, "week") if last => {
            let from = monday.checked_sub(7.days()).unwrap_or(Date::MIN);
            days(from, Some(monday), "last week")
        }
        (_, "month") if last => {
            let until = today.first_of_month();
            let from = until.checked_sub(1.month()).unwrap_or(Date::MIN);
            days(from, Some(until), "last month")
        }
        _ => return read_number(words, now).or_else(|| read_day(words, today)),
    };
    Some((2, one))
}

/// "Last 3 days", "3 days ago".
fn read_number(words: &[String], now: Timestamp) -> Option<(usize, Span)> {
    let last = matches!(words.first()?.as_str(), "last" | "past" | "previous");
    let skipped = usize::from(last);
    let number: i64 = match words.get(skipped)?.as_str() {
        "two" | "couple" => 2,
        "three" => 3,
        "four" => 4,
        "five" => 5,
        number => number.parse().ok().filter(|n| (1..=1_000).contains(n))?,
    };
    let unit = words.get(skipped + 1)?.trim_end_matches('s');
    let each = match unit {
        "minute" => SignedDuration::from_mins(1),
        "hour" => hours(1),
        "day" => hours(24),
        "week" => hours(7 * 24),
        "month" => hours(30 * 24),
        _ => return None,
    };
    let ago = words.get(skipped + 2).is_some_and(|word| word == "ago");
    let from = now.checked_sub(SignedDuration::from_secs(each.as_secs() * number));
    let from = from.unwrap_or(Timestamp::MIN);
    let plural = if number == 1 { "" } else { "s" };
    if ago {
        let from = if each < hours(24) {
            from
        } else {
            start(today(from))
        };
        let name = format!("since {}", day(from));
        return Some((
            skipped + 3,
            Span {
                from,
                until: None,
                name,
            },
        ));
    }
    if !last {
        return None;
    }
    let name = format!("in the last {number} {unit}{plural}");
    Some((
        skipped + 2,
        Span {
            from,
            until: None,
            name,
        },
    ))
}

/// A day of the week, the last one of its name that has begun, or a date.
fn read_day(words: &[String], today: Date) -> Option<(usize, Span)> {
    let skipped = usize::from(words.first().is_some_and(|word| word == "last"));
    let word = words.get(skipped)?;
    let from = if let Some(n) = DAYS.iter().position(|day| day == word) {
        let back = (i64::from(today.weekday().to_monday_zero_offset()) - n as i64).rem_euclid(7);
        let back = if back == 0 && skipped == 1 { 7 } else { back };
        today.checked_sub(back.days()).ok()?
    } else {
        word.parse().ok().filter(|day| *day <= today)?
    };
    let span = Span {
        from: start(from),
        until: from.tomorrow().ok().map(start),
        name: match DAYS.contains(&word.as_str()) {
            true => format!("on {}", sentence(word)),
            false => format!("on {}", day(start(from))),
        },
    };
    Some((skipped + 1, span))
}

fn hours(number: i64) -> SignedDuration {
    SignedDuration::from_hours(number)
}

fn today(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

fn start(day: Date) -> Timestamp {
    let start = day.to_zoned(TimeZone::UTC);
    start.map_or(Timestamp::MIN, |start| start.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::samples;

    #[track_caller]
    fn reads(text: &str, expected: &str) {
        let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
        let found = match take(&mut words, samples::now()) {
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
            ("changed at 03 00", "changed"),
            ("since 9 30pm", ""),
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
}
