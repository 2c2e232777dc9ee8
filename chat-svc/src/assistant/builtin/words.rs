//! Times, lists and tasks in English.

use jiff::{Timestamp, tz::TimeZone};

use crate::prompt::{TaskFacts, TaskState, Work};

/// A day and a time: "4 March 2026, 10:00 UTC".
pub(super) fn moment(time: Timestamp) -> String {
    let time = time.to_zoned(TimeZone::UTC);
    time.strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// A day: "4 March 2026".
pub(super) fn day(time: Timestamp) -> String {
    let time = time.to_zoned(TimeZone::UTC);
    time.strftime("%-d %B %Y").to_string()
}

/// A number of things: "1 task", "3 tasks".
pub(super) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// A task by its title: “Sign the packages”.
pub(super) fn quoted(task: &TaskFacts) -> String {
    format!("“{}”", task.title)
}

/// Several things: "a, b and c".
pub(super) fn list<T: AsRef<str>>(things: &[T]) -> String {
    match things {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [others @ .., last] => {
            let others: Vec<&str> = others.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", others.join(", "), last.as_ref())
        }
    }
}

/// A name, which is "you" if it is the caller's.
pub(super) fn person<'a>(work: &'a Work, name: &'a str) -> &'a str {
    if name == work.caller.username {
        "you"
    } else {
        name
    }
}

/// The owner of a task and its state: "grace has not started it".
pub(super) fn standing(work: &Work, task: &TaskFacts) -> String {
    let who = person(work, &task.assignee);
    let (is, has) = if who == "you" {
        ("are", "have")
    } else {
        ("is", "has")
    };
    match task.state {
        TaskState::Todo => format!("{who} {has} not started it"),
        TaskState::InProcess => {
            let since = task.started_at.map(moment);
            match since {
                Some(since) => format!("{who} {has} been working on it since {since}"),
                None => format!("{who} {is} working on it"),
            }
        }
        TaskState::Completed => {
            let at = task.completed_at.map(moment);
            let at = at.map_or_else(String::new, |at| format!(" on {at}"));
            format!("{who} completed it{at}")
        }
    }
}

/// The text with a capital letter at its beginning.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
