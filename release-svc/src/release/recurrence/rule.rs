//! Recurrence rules: the value of an RRULE of RFC 5545 (iCalendar), of which a task may have a part.
//!
//! A task recurs at most once a day, at the local time of its start. So a rule is about dates, and
//! has no part about hours, minutes and seconds. The crate `rrule` expands it. It reads some texts
//! that are no rules, such as `BYDAY=XMO`; so a rule is checked here before.

use std::{fmt, ops::RangeInclusive};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::Offset,
};
use rrule::RRuleSet;
use serde::{Deserialize, Serialize};
use slipway_runtime::zone::Zone;

use crate::release::values;

/// Characters of a rule.
pub const MAX_RULE: usize = 255;

/// The parts that a rule may have, without FREQ.
const PARTS: [&str; 10] = [
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "WKST",
    "BYDAY",
    "BYMONTHDAY",
    "BYYEARDAY",
    "BYWEEKNO",
    "BYMONTH",
    "BYSETPOS",
];

/// The parts that are lists of numbers, with their bounds; those with a sign count from the end.
const NUMBERS: [(&str, RangeInclusive<i32>, Sign); 5] = [
    ("BYMONTH", 1..=12, Sign::None),
    ("BYMONTHDAY", 1..=31, Sign::Allowed),
    ("BYYEARDAY", 1..=366, Sign::Allowed),
    ("BYWEEKNO", 1..=53, Sign::Allowed),
    ("BYSETPOS", 1..=366, Sign::Allowed),
];

const FREQUENCIES: [&str; 4] = ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"];
const WEEKDAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    None,
    Allowed,
}

/// A recurrence rule, such as `FREQ=WEEKLY;BYDAY=MO`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rule(String);

/// The text is not a recurrence rule that a task may have: the end of a sentence that begins with
/// the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotARule(String);

impl NotARule {
    pub(super) fn new(rule: impl Into<String>) -> Self {
        Self(rule.into())
    }
}

impl From<NotARule> for String {
    fn from(wrong: NotARule) -> Self {
        wrong.0
    }
}

/// The last date of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// This day, in the time zone of the task.
    Day(Date),
    /// This local time.
    Local(DateTime),
    /// This time.
    Time(Timestamp),
}

impl Rule {
    /// Validates a rule. It is stored in upper case.
    ///
    /// # Errors
    /// What is wrong.
    pub fn new(text: &str) -> Result<Self, NotARule> {
        let rule = Self(Self::comparable(text));
        if rule.0.len() > MAX_RULE {
            return Err(NotARule::new("must have at most 255 characters"));
        }
        rule.check()?;
        // What is only wrong together with a start is wrong with each.
        let dates = rule.expanded(Date::constant(2025, 1, 1)).map(drop);
        dates.map(|()| rule)
    }

    /// A text in the form in which a rule is stored, whether it is one or not.
    #[must_use]
    pub fn comparable(text: &str) -> String {
        text.trim().to_ascii_uppercase()
    }

    /// The rule.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The dates after the first one, which is `start`, also if the rule itself has not this date.
    /// `zone` is where the days are.
    ///
    /// A monthly or yearly rule that names no day takes that of the start, or the last day of a
    /// month that is shorter. RFC 5545 skips such a month.
    pub(super) fn dates_after(
        &self,
        start: DateTime,
        zone: &Zone,
    ) -> Result<impl Iterator<Item = Timestamp>, NotARule> {
        let first = start.date();
        let falls_back = first.day() > 28 && self.takes_the_day_of_its_start();
        let dates = self.expanded(if falls_back {
            first.first_of_month()
        } else {
            first
        })?;
        let day = first.day();
        let dates = dates.map(move |date| match falls_back {
            true => on_day(date, day),
            false => date,
        });
        let until = self.until()?;
        let others = self.count()?.map_or(usize::MAX, |count| count - 1);
        let zone = zone.clone();
        let times = dates
            .filter(move |date| *date > first)
            .take(others)
            .map_while(move |date| {
                let local = date.to_datetime(start.time());
                // A time that does not exist moves forward; of one that comes twice it is the first.
                let time = zone.rules().to_ambiguous_timestamp(local).compatible();
                Some((local, time.ok()?))
            })
            .take_while(|(_, time)| values::due_at(*time).is_ok())
            .take_while(move |(local, time)| match until {
                None => true,
                Some(Until::Day(last)) => local.date() <= last,
                Some(Until::Local(last)) => *local <= last,
                Some(Until::Time(last)) => *time <= last,
            });
        Ok(times.map(|(_, time)| time))
    }

    /// The rule's own dates from `first` on, without COUNT and UNTIL.
    fn expanded(&self, first: Date) -> Result<impl Iterator<Item = Date>, NotARule> {
        let parts = self.parts().filter(|(name, _)| !is_end(name));
        let mut text: Vec<_> = parts
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if self.part("BYWEEKNO").is_some() && self.part("BYDAY").is_none() {
            // The crate takes every day of the week; RFC 5545 takes the weekday of the start.
            let weekday = usize::from(first.weekday().to_monday_zero_offset().unsigned_abs());
            text.push(format!("BYDAY={}", WEEKDAYS[weekday]));
        }
        // The dates are those of UTC, so that the crate knows nothing of time zones.
        let (start, rule) = (first.strftime("%Y%m%d"), text.join(";"));
        let set: Result<RRuleSet, _> = format!("DTSTART:{start}T000000Z\nRRULE:{rule}").parse();
        let set = set
            .map_err(|error| NotARule(format!("cannot be used: {error}")))?
            .limit();
        let dates = set.into_iter().map_while(|time| {
            let time = Timestamp::from_second(time.timestamp()).ok()?;
            Some(Offset::UTC.to_datetime(time).date())
        });
        Ok(dates)
    }

    fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts = self.0.split(';');
        parts.map(|part| part.split_once('=').unwrap_or((part, "")))
    }

    fn part(&self, name: &str) -> Option<&str> {
        let mut parts = self.parts();
        parts
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    fn frequency(&self) -> &str {
        self.part("FREQ").unwrap_or_default()
    }

    /// Whether a monthly or yearly rule says nothing about the day.
    fn takes_the_day_of_its_start(&self) -> bool {
        let names_days = self
            .parts()
            .any(|(name, _)| is_by(name) && name != "BYMONTH");
        matches!(self.frequency(), "MONTHLY" | "YEARLY") && !names_days
    }

    /// How many dates it has, with the first.
    fn count(&self) -> Result<Option<usize>, NotARule> {
        let count = self.part("COUNT").map(|count| number(count, 1..=100_000));
        let rule = "must have a number from 1 to 100000 as COUNT";
        let count = count.map(|count| count.ok_or_else(|| NotARule::new(rule)));
        Ok(count
            .transpose()?
            .and_then(|count| usize::try_from(count).ok()))
    }

    fn until(&self) -> Result<Option<Until>, NotARule> {
        let Some(text) = self.part("UNTIL") else {
            return Ok(None);
        };
        let is_of = |pattern: &str| {
            let mut both = text.chars().zip(pattern.chars());
            text.len() == pattern.len()
                && both.all(|(c, p)| if p == '0' { c.is_ascii_digit() } else { c == p })
        };
        let until = if is_of("00000000") {
            Date::strptime("%Y%m%d", text).ok().map(Until::Day)
        } else if is_of("00000000T000000") {
            let local = DateTime::strptime("%Y%m%dT%H%M%S", text);
            local.ok().map(Until::Local)
        } else if is_of("00000000T000000Z") {
            let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok();
            let time = time.and_then(|time| Offset::UTC.to_timestamp(time).ok());
            time.map(Until::Time)
        } else {
            None
        };
        let rule =
            "must have a date, such as 20261231, or a time, such as 20261231T170000Z, as UNTIL";
        until.map(Some).ok_or_else(|| NotARule::new(rule))
    }

    fn check(&self) -> Result<(), NotARule> {
        let mut known = Vec::new();
        for part in self.0.split(';') {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                NotARule::new("must be a rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=MO,FR")
            })?;
            check_part(name, value)?;
            if known.contains(&name) {
                return Err(NotARule(format!("has {name} more than once")));
            }
            known.push(name);
        }
        if !known.contains(&"FREQ") {
            return Err(NotARule::new(
                "must have DAILY, WEEKLY, MONTHLY or YEARLY as FREQ",
            ));
        }
        if known.contains(&"COUNT") && known.contains(&"UNTIL") {
            return Err(NotARule::new("must not have both COUNT and UNTIL"));
        }
        let is_filter = |name: &&str| is_by(name) && *name != "BYSETPOS";
        if known.contains(&"BYSETPOS") && !known.iter().any(is_filter) {
            return Err(NotARule::new(
                "has BYSETPOS, which needs another part that begins with BY",
            ));
        }
        self.count()?;
        self.until()?;
        self.check_frequency()
    }

    /// Refuses what RFC 5545 refuses for a frequency.
    fn check_frequency(&self) -> Result<(), NotARule> {
        let frequency = self.frequency();
        let has = |name| self.part(name).is_some();
        let is_yearly = frequency == "YEARLY";
        let wrong = [
            ("BYMONTHDAY", frequency == "WEEKLY"),
            ("BYYEARDAY", !is_yearly),
            ("BYWEEKNO", !is_yearly),
        ];
        if let Some((name, _)) = wrong.into_iter().find(|(name, wrong)| *wrong && has(name)) {
            return Err(NotARule(format!(
                "must not have {name} with FREQ={frequency}"
            )));
        }
        let days = self.part("BYDAY").unwrap_or_default();
        let is_numbered = days.contains(|c: char| c.is_ascii_digit());
        let may_be = frequency == "MONTHLY" || is_yearly && !has("BYWEEKNO");
        match is_numbered && !may_be {
            true => Err(NotARule::new(
                "may number the weekdays of BYDAY only with FREQ=MONTHLY, or FREQ=YEARLY without \
                 BYWEEKNO",
            )),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_by(name: &str) -> bool {
    name.starts_with("BY")
}

/// Whether a part ends the series.
fn is_end(name: &str) -> bool {
    matches!(name, "COUNT" | "UNTIL")
}

/// This day of the date's month, or its last one.
fn on_day(date: Date, day: i8) -> Date {
    let day = day.min(date.days_in_month());
    date.with().day(day).build().unwrap_or(date)
}

fn check_part(name: &str, value: &str) -> Result<(), NotARule> {
    let numbers = NUMBERS.into_iter().find(|(known, ..)| *known == name);
    let (is_valid, rule) = match (name, numbers) {
        (_, Some((_, range, sign))) => {
            let (first, last) = (*range.start(), *range.end());
            let bounds = match sign {
                Sign::None => format!("from {first} to {last}"),
                Sign::Allowed => format!("from {first} to {last}, or negative ones,"),
            };
            let is_valid = |text: &str| signed(text, range.clone(), sign);
            (value.split(',').all(is_valid), format!("numbers {bounds}"))
        }
        ("FREQ", _) => (
            FREQUENCIES.contains(&value),
            "DAILY, WEEKLY, MONTHLY or YEARLY".to_owned(),
        ),
        ("INTERVAL", _) => (
            number(value, 1..=9_999).is_some(),
            "a number from 1 to 9999".to_owned(),
        ),
        ("WKST", _) => (
            WEEKDAYS.contains(&value),
            "a weekday, such as MO,".to_owned(),
        ),
        ("BYDAY", _) => (
            value.split(',').all(is_day),
            "weekdays, such as MO, 1MO or -1FR,".to_owned(),
        ),
        ("BYHOUR" | "BYMINUTE" | "BYSECOND", _) => {
            let rule = "must not have BYHOUR, BYMINUTE or BYSECOND: a task is due at the time of \
                        day of its series' start";
            return Err(NotARule::new(rule));
        }
        (name, _) if PARTS.contains(&name) => return Ok(()),
        _ => {
            let parts = PARTS.join(", ");
            return Err(NotARule(format!("may have only FREQ, {parts}")));
        }
    };
    match is_valid {
        true => Ok(()),
        false => Err(NotARule(format!("must have {rule} as {name}"))),
    }
}

/// A number in digits.
fn number(text: &str, range: RangeInclusive<i32>) -> Option<i32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    number.filter(|number| range.contains(number))
}

fn signed(text: &str, range: RangeInclusive<i32>, sign: Sign) -> bool {
    let digits = match sign {
        Sign::None => text,
        Sign::Allowed => text.strip_prefix(['+', '-']).unwrap_or(text),
    };
    number(digits, range).is_some()
}

/// A weekday, which may be numbered.
fn is_day(text: &str) -> bool {
    let Some((count, weekday)) = text
        .len()
        .checked_sub(2)
        .and_then(|at| text.split_at_checked(at))
    else {
        return false;
    };
    let is_counted = count.is_empty() || signed(count, 1..=53, Sign::Allowed);
    is_counted && WEEKDAYS.contains(&weekday)
}
