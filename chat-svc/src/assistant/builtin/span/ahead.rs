//! The times in which something is due: "overdue", "today", "by Friday", "next week".

use jiff::{Timestamp, ToSpan as _, civil::Date};

use super::{DAYS, day, sentence, start, today};

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

/// The time that these words name, as of `now`.
pub(in super::super) fn read(words: &[String], now: Timestamp) -> Option<Window> {
    (0..words.len()).find_map(|at| {
        let (from, until, name) = days(&words[at..], today(now))?;
        let day = name.strip_prefix("on ").unwrap_or(&name);
        let before = words[..at].last().map_or("", String::as_str);
        let (from, until) = (start(from), start(until));
        let (from, until) = match before {
            "by" | "until" | "till" => (None, until),
            "before" => (None, from),
            "after" => (Some(until), Timestamp::MAX),
            _ => {
                return Some(Window {
                    from: Some(from),
                    until,
                    name,
                });
            }
        };
        let name = format!("{before} {day}");
        Some(Window { from, until, name })
    })
}

/// The days at the beginning of these words: the first, the one behind the last, and their name.
fn days(words: &[String], today: Date) -> Option<(Date, Date, String)> {
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    let later = |days: i64| today.checked_add(days.days()).unwrap_or(Date::MAX);
    let weekday = i64::from(today.weekday().to_monday_zero_offset());
    let month = |months: i64| {
        let day = today.first_of_month().checked_add(months.months());
        day.unwrap_or(Date::MAX)
    };
    let named = |from, until, name: &str| Some((from, until, name.to_owned()));
    match (word(0), word(1)) {
        ("today" | "tonight", _) => named(today, later(1), "today"),
        ("tomorrow", _) => named(later(1), later(2), "tomorrow"),
        ("this" | "current", "week") => named(later(-weekday), later(7 - weekday), "this week"),
        ("next", "week") => named(later(7 - weekday), later(14 - weekday), "next week"),
        ("this" | "current", "month") => named(month(0), month(1), "this month"),
        ("next", "month") => named(month(1), month(2), "next month"),
        ("next" | "within" | "in", number) => {
            let number: i64 = number
                .parse()
                .ok()
                .filter(|number| (1..=1_000).contains(number))?;
            let unit = word(2).trim_end_matches('s');
            let each = match unit {
                "day" => 1,
                "week" => 7,
                _ => return None,
            };
            let plural = if number == 1 { "" } else { "s" };
            let name = format!("in the next {number} {unit}{plural}");
            Some((today, later(number * each + 1), name))
        }
        (word, _) => {
            let from = match DAYS.iter().position(|day| *day == word) {
                Some(n) => later((n as i64 - weekday).rem_euclid(7)),
                None => word.parse().ok()?,
            };
            let name = match DAYS.contains(&word) {
                true => sentence(word),
                false => day(start(from)),
            };
            Some((from, from.tomorrow().ok()?, format!("on {name}")))
        }
    }
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
            ("my next 3 tasks", "none"),
            ("what is due", "none"),
            ("last week", "none"),
        ] {
            let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
            let found = read(&words, samples::now()).map_or("none".to_owned(), |window| {
                let from = window
                    .from
                    .map_or_else(String::new, |from| from.to_string());
                format!("{}: {from}..{}", window.name, window.until)
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}
