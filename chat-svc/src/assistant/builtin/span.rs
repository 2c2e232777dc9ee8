//! The times in the past that a question names: "yesterday", "last week", "in the last 3 days",
//! "since 3 March".

pub(super) mod ahead;
mod date;

use std::ops::Range;

use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

pub(super) use self::date::is_in_date;
use self::date::{dates, is_date};
use super::words::{day, sentence};

/// A time in the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    /// `None`: until now.
    pub(super) until: Option<Timestamp>,
    /// Its name within a sentence: "last week".
    pub(super) name: String,
}

/// The time that a question names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum When {
    /// None.
    Unsaid,
    /// A time in the past.
    Within(Span),
    /// A time that is not understood, or is in the future.
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

/// Words of times that are not understood alone.
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

/// Words before a time of day.
const BEFORE_HOURS: &[&str] = &[
    "after", "and", "around", "at", "before", "between", "by", "from", "since", "to", "until",
];

/// Words before the beginning of a time.
const BEGIN: &[&str] = &["from", "between", "since"];

/// Removes times of day from the words, such as "at 3 am" and "since 03:00"; returns whether there
/// were any.
pub(super) fn take_hours(words: &mut Vec<String>) -> bool {
    let (mut at, mut found) = (0, false);
    while at < words.len() {
        // "2026-03-04t10:00:00z" is a day and a time.
        if let Some((day, _)) = words[at].split_once('t').filter(|(day, _)| is_date(day)) {
            words[at] = day.to_owned();
            found = true;
        }
        let length = read_hour(&words[at..]);
        if length == 0 {
            at += 1;
            continue;
        }
        let is_before = |word: &String| BEFORE_HOURS.contains(&&**word);
        let from = at - usize::from(words[..at].last().is_some_and(is_before));
        words.drain(from..at + length);
        (at, found) = (from, true);
    }
    found
}

/// Number of words at the beginning that are a time of day: "3am", "3 pm", "03:00", "noon".
fn read_hour(words: &[String]) -> usize {
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    let is_number = |text: &str, below: u8| {
        let is_short = (1..=2).contains(&text.len());
        is_short && text.parse().is_ok_and(|number: u8| number < below)
    };
    let half = |text: &str| matches!(text, "am" | "pm" | "a.m" | "p.m" | "oclock");
    let bare = word(0).trim_end_matches("am").trim_end_matches("pm");
    let is_clock = |text: &str| {
        let mut parts = text.split(':');
        let is_hour = parts.next().is_some_and(|hour| is_number(hour, 25));
        is_hour && text.contains(':') && parts.all(|part| part.len() == 2 && is_number(part, 60))
    };
    let length = match word(0) {
        "noon" | "midday" | "midnight" => 1,
        _ if is_clock(bare) => 1 + usize::from(half(word(1))),
        hour if is_number(hour, 25) && half(word(1)) => 2,
        hour if is_number(hour, 25) => return 0,
        _ if is_number(bare, 13) => 1,
        "at" if is_number(word(1), 25) && words.len() == 2 => 2,
        _ => return 0,
    };
    length + usize::from(word(length) == "utc")
}

/// The time that these words name, as of `now`, and which of them name it.
pub(super) fn read(words: &[String], now: Timestamp) -> (When, Range<usize>) {
    for at in 0..words.len() {
        let (before, here) = words.split_at(at);
        let Some((mut length, mut span)) = read_one(here, now) else {
            continue;
        };
        if let Some((more, end)) = read_end(&here[length..], now) {
            length += more;
            span.until = end.until;
            let strip = |name: &str| name.strip_prefix("on ").unwrap_or(name).to_owned();
            span.name = format!("from {} to {}", strip(&span.name), strip(&end.name));
            let from = at - usize::from(before.last().is_some_and(|word| BEGIN.contains(&&**word)));
            return (When::Within(span), from..at + length);
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
        return (When::Within(span), from..at + length);
    }
    let is_year = |word: &str| matches!(word.parse(), Ok(1970..=2999));
    let is_unclear = |word: &String| UNCLEAR.contains(&word.as_str()) || is_year(word);
    match words.iter().any(is_unclear) {
        true => (When::Unclear, 0..0),
        false => (When::Unsaid, 0..0),
    }
}

/// The time if a question names none.
pub(super) fn since_yesterday(now: Timestamp) -> Span {
    Span {
        from: start(today(now).yesterday().unwrap_or(Date::MIN)),
        until: None,
        name: "since yesterday".to_owned(),
    }
}

/// The end of a time whose beginning is before these words: "to Friday".
fn read_end(words: &[String], now: Timestamp) -> Option<(usize, Span)> {
    let (to, end) = words.split_first()?;
    if !matches!(to.as_str(), "to" | "and" | "until" | "till") {
        return None;
    }
    let (length, span) = read_one(end, now)?;
    Some((length + 1, span))
}

/// The time at the beginning of these words, and its number of words.
fn read_one(words: &[String], now: Timestamp) -> Option<(usize, Span)> {
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
        ("day", "before") if words.get(2).is_some_and(|word| word == "yesterday") => {
            return Some((3, days(ago(2), Some(ago(1)), "the day before yesterday")));
        }
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
    let number = number(words.get(skipped)?)?;
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

/// A day of the week, the latest that has begun, or a date.
fn read_day(words: &[String], today: Date) -> Option<(usize, Span)> {
    let skipped = usize::from(words.first().is_some_and(|word| word == "last"));
    let (length, from, name) = match dates(words, today) {
        Some((length, dates)) => {
            let latest = dates.into_iter().rfind(|date| *date <= today)?;
            (length, latest, day(start(latest)))
        }
        None => {
            let word = words.get(skipped)?;
            let n = DAYS.iter().position(|day| day == word)?;
            let monday = i64::from(today.weekday().to_monday_zero_offset());
            let back = (monday - n as i64).rem_euclid(7);
            let back = if back == 0 && skipped == 1 { 7 } else { back };
            let from = today.checked_sub(back.days()).ok()?;
            (skipped + 1, from, sentence(word))
        }
    };
    let span = Span {
        from: start(from),
        until: from.tomorrow().ok().map(start),
        name: format!("on {name}"),
    };
    Some((length, span))
}

/// Whether a word can only be a part of a time.
pub(super) fn is_time(word: &str) -> bool {
    let is_day = DAYS.contains(&word) || matches!(word, "today" | "yesterday");
    is_day || (word != "since" && UNCLEAR.contains(&word))
}

/// A number from 1 to 1,000.
fn number(word: &str) -> Option<i64> {
    match word {
        "a" | "one" => Some(1),
        "two" | "couple" => Some(2),
        "three" => Some(3),
        "four" => Some(4),
        "five" => Some(5),
        number => number.parse().ok().filter(|n| (1..=1_000).contains(n)),
    }
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
mod tests;
