//! The times in which something is due: "today", "by Friday", "on 3 December", "next week".

use std::ops::Range;

use jiff::{Timestamp, ToSpan as _, civil::Date};

use super::{DAYS, date::dates, day, number, sentence, start, today};

/// A time in which tasks are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Window {
    /// `None`: at any time before the end.
    pub(in super::super) from: Option<Timestamp>,
    pub(in super::super) until: Timestamp,
    /// Its name behind "due": "this week".
    pub(in super::super) name: String,
}

impl Window {
    /// Until now: what is overdue.
    pub(in super::super) fn past(now: Timestamp) -> Self {
        Self {
            from: None,
            until: now,
            name: "before now".to_owned(),
        }
    }
}

/// The time that these words name, as of `now`, and which of them name it.
pub(in super::super) fn read(words: &[String], now: Timestamp) -> Option<(Window, Range<usize>)> {
    (0..words.len()).find_map(|at| {
        let (mut length, from, mut until, mut name) = days(&words[at..], today(now))?;
        let mut before = words[..at].iter().rev().map(String::as_str);
        let before = before.find(|word| *word != "the").unwrap_or_default();
        if matches!(before, "last" | "past" | "previous" | "since") {
            return None;
        }
        let bare = |name: &str| name.strip_prefix("on ").unwrap_or(name).to_owned();
        if let Some((to, end)) = words[at + length..].split_first()
            && matches!(to.as_str(), "to" | "and" | "until" | "till")
            && let Some((more, _, end, last)) = days(end, today(now))
            && end > until
        {
            (length, until) = (length + 1 + more, end);
            name = format!("from {} to {}", bare(&name), bare(&last));
        }
        let day = bare(&name);
        let (from, until) = (start(from), start(until));
        let (from, until, name) = match before {
            "by" | "until" | "till" => (None, until, format!("{before} {day}")),
            "before" => (None, from, format!("{before} {day}")),
            "after" => (Some(until), Timestamp::MAX, format!("{before} {day}")),
            _ => (Some(from), until, name),
        };
        Some((Window { from, until, name }, at..at + length))
    })
}

/// The days at the beginning of these words: the number of words, the first day, the one behind the
/// last, and their name.
fn days(words: &[String], today: Date) -> Option<(usize, Date, Date, String)> {
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    let later = |days: i64| today.checked_add(days.days()).unwrap_or(Date::MAX);
    let weekday = i64::from(today.weekday().to_monday_zero_offset());
    let month = |months: i64| {
        let day = today.first_of_month().checked_add(months.months());
        day.unwrap_or(Date::MAX)
    };
    let year = |years: i64| {
        let day = today.first_of_year().checked_add(years.years());
        day.unwrap_or(Date::MAX)
    };
    let (length, from, until, name) = match (word(0), word(1)) {
        ("today" | "tonight", _) => (1, today, later(1), "today"),
        ("tomorrow", _) => (1, later(1), later(2), "tomorrow"),
        ("day", "after") if word(2) == "tomorrow" => {
            (3, later(2), later(3), "the day after tomorrow")
        }
        ("this" | "current", "week") => (2, later(-weekday), later(7 - weekday), "this week"),
        ("next", "week") => (2, later(7 - weekday), later(14 - weekday), "next week"),
        ("this" | "current", "month") => (2, month(0), month(1), "this month"),
        ("next", "month") => (2, month(1), month(2), "next month"),
        ("this" | "current", "year") => (2, year(0), year(1), "this year"),
        ("next", "year") => (2, year(1), year(2), "next year"),
        ("next" | "within" | "in", count) => {
            let number = number(count)?;
            let unit = word(2).trim_end_matches('s');
            let each = match unit {
                "day" => 1,
                "week" => 7,
                _ => return None,
            };
            let plural = if number == 1 { "" } else { "s" };
            let name = format!("in the next {number} {unit}{plural}");
            return Some((3, today, later(number * each + 1), name));
        }
        (word, _) => {
            let (length, from, name) = match dates(words, today) {
                Some((length, dates)) => {
                    // Without a year, the nearest.
                    let distance = |date: &Date| start(*date).duration_since(start(today)).abs();
                    let nearest = dates.into_iter().min_by_key(distance)?;
                    (length, nearest, day(start(nearest)))
                }
                None => {
                    let n = DAYS.iter().position(|day| *day == word)?;
                    (1, later((n as i64 - weekday).rem_euclid(7)), sentence(word))
                }
            };
            return Some((length, from, from.tomorrow().ok()?, format!("on {name}")));
        }
    };
    Some((length, from, until, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::samples;

    /// It is Wednesday, 4 March 2026, 12:00.
    #[test]
    fn times_ahead_are_read() {
        for (text, expected) in [
            (
                "due today",
                "today: 2026-03-04T00:00:00Z..2026-03-05T00:00:00Z",
            ),
            (
                "due tomorrow",
                "tomorrow: 2026-03-05T00:00:00Z..2026-03-06T00:00:00Z",
            ),
            (
                "due this week",
                "this week: 2026-03-02T00:00:00Z..2026-03-09T00:00:00Z",
            ),
            (
                "due next week",
                "next week: 2026-03-09T00:00:00Z..2026-03-16T00:00:00Z",
            ),
            (
                "due next month",
                "next month: 2026-04-01T00:00:00Z..2026-05-01T00:00:00Z",
            ),
            (
                "in the next 3 days",
                "in the next 3 days: 2026-03-04T00:00:00Z..2026-03-08T00:00:00Z",
            ),
            ("due by friday", "by Friday: ..2026-03-07T00:00:00Z"),
            (
                "after friday",
                "after Friday: 2026-03-07T00:00:00Z..9999-12-30T22:00:00.999999999Z",
            ),
            ("before friday", "before Friday: ..2026-03-06T00:00:00Z"),
            (
                "on tuesday",
                "on Tuesday: 2026-03-10T00:00:00Z..2026-03-11T00:00:00Z",
            ),
            (
                "due on 2026-05-01",
                "on 1 May 2026: 2026-05-01T00:00:00Z..2026-05-02T00:00:00Z",
            ),
            (
                "by the 6th of march",
                "by 6 March 2026: ..2026-03-07T00:00:00Z",
            ),
            (
                "on december 3",
                "on 3 December 2025: 2025-12-03T00:00:00Z..2025-12-04T00:00:00Z",
            ),
            (
                "on friday 6 mar",
                "on 6 March 2026: 2026-03-06T00:00:00Z..2026-03-07T00:00:00Z",
            ),
            (
                "from 2026-03-05 to friday",
                "from 5 March 2026 to Friday: 2026-03-05T00:00:00Z..2026-03-07T00:00:00Z",
            ),
            (
                "the day after tomorrow",
                "the day after tomorrow: 2026-03-06T00:00:00Z..2026-03-07T00:00:00Z",
            ),
            ("on 12/03", "none"),
            ("last friday", "none"),
            ("on 31 february", "none"),
            ("my next 3 tasks", "none"),
            ("what is due", "none"),
            ("last week", "none"),
        ] {
            let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
            let found = read(&words, samples::now()).map_or("none".to_owned(), |(window, _)| {
                let from = window
                    .from
                    .map_or_else(String::new, |from| from.to_string());
                format!("{}: {from}..{}", window.name, window.until)
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}
