//! What is due.

use std::fmt::Write as _;

use jiff::Timestamp;
use slipway_rpc::access::Role;

use super::{MAX_NAMED, placed, scope, tell_limits, tell_own_limit};
use crate::{
    assistant::builtin::{
        question::Question,
        span::{When, ahead::Window},
        vocabulary::{OVERDUE, PEOPLE},
        words::{count, list, moment, person, standing},
    },
    prompt::{TaskFacts, TaskState, Work},
};

/// The open tasks that are due in the time that is named: those of the people who are named, in
/// what is named; or else the caller's, or those of everybody for an administrator.
pub(super) fn due(work: &Work, question: &Question<'_>) -> String {
    if let [task] = question.tasks[..] {
        return of_task(work, task);
    }
    let named = !question.releases.is_empty() || !question.tasks.is_empty();
    let is_mine = question.names_caller
        || (question.others.is_empty() && question.is_mine() && !question.says(PEOPLE));
    let is_of_all = named
        || question.says(PEOPLE)
        || question.says(&["release*"])
        || work.caller.role == Role::Admin;
    let by_default = question.others.is_empty() && !is_mine && !is_of_all;
    let mut people = question.others.clone();
    if is_mine || by_default {
        people.push(&work.caller.username);
    }
    let is_placed = |task: &&TaskFacts| {
        let (releases, tasks) = (&question.releases, &question.tasks);
        let by_release =
            releases.is_empty() || releases.iter().any(|release| release.id == task.release_id);
        let by_task = tasks.is_empty() || tasks.iter().any(|named| named.id == task.id);
        task.state != TaskState::Completed && by_release && by_task
    };
    let is_theirs = |task: &&TaskFacts| people.is_empty() || people.contains(&&*task.assignee);
    let (theirs, rest): (Vec<_>, Vec<_>) = work.tasks().filter(is_placed).partition(is_theirs);

    let time = Time::of(work, question);
    let mut dated: Vec<_> = theirs
        .iter()
        .filter_map(|task| time.includes(task))
        .collect();
    dated.sort_by_key(|(due, _)| *due);
    let whose = whose(work, question, &people);
    let mut text = String::new();
    let number = match dated.len() {
        0 => "No open task".to_owned(),
        number => count(number, "open task"),
    };
    let _ = write!(text, "{number}{whose} {}", time.verb(dated.len()));
    let late = dated.iter().filter(|(at, _)| *at < work.now).count();
    if late > 0 && dated.len() > 1 && !time.is_overdue {
        let are = if late == 1 { "is" } else { "are" };
        let _ = write!(text, ", of which {late} {are} overdue");
    }
    text.push_str(if dated.is_empty() { "." } else { ":" });
    for (at, task) in dated.iter().take(MAX_NAMED) {
        let late = if *at < work.now { " (overdue)" } else { "" };
        let (at, who) = (moment(*at), person(work, &task.assignee));
        let _ = write!(text, "\n- {at}{late}: {} ({who})", placed(task));
    }
    if let more @ 1.. = dated.len().saturating_sub(MAX_NAMED) {
        let _ = write!(text, "\n… and {} after those.", count(more, "task"));
    }
    let undated = theirs.iter().filter(|task| task.due_at.is_none()).count();
    if time.window.is_none() && !dated.is_empty() && undated > 0 {
        let have = if undated == 1 { "has" } else { "have" };
        let undated = count(undated, "open task");
        let _ = write!(text, "\n{undated}{whose} {have} no due date.");
    }
    let others = rest.iter().filter_map(|task| time.includes(task)).count();
    if by_default && others > 0 {
        let (tasks, verb) = (count(others, "open task"), time.verb(others));
        let _ = write!(
            text,
            "\n{tasks} of other people in {} {verb}: ask “what is due for everyone?”.",
            scope(work)
        );
    }
    let is_own = people[..] == [work.caller.username.as_str()];
    match is_own && !(by_default && others > 0) {
        true => tell_own_limit(work, &mut text),
        false if !named => tell_limits(work, &mut text),
        false => {}
    }
    text
}

/// When a task is due.
fn of_task(work: &Work, task: &TaskFacts) -> String {
    let placed = placed(task);
    match task.due_at {
        _ if task.state == TaskState::Completed => format!("{placed}: {}.", standing(work, task)),
        None => format!("{placed} has no due date."),
        Some(due) if due < work.now => {
            format!("{placed} was due on {} and is overdue.", moment(due))
        }
        Some(due) => format!("{placed} is due on {}.", moment(due)),
    }
}

/// Whose tasks they are, and in which releases.
pub(super) fn whose(work: &Work, question: &Question<'_>, people: &[&str]) -> String {
    let names: Vec<_> = people
        .iter()
        .map(|name| match person(work, name) {
            "you" => "yours",
            name => name,
        })
        .collect();
    let releases: Vec<_> = question
        .releases
        .iter()
        .map(|release| &*release.name)
        .collect();
    let place = match (&releases[..], &question.tasks[..]) {
        ([], []) if names != ["yours"] => format!(" in {}", scope(work)),
        ([], []) => String::new(),
        ([], _) => " of these".to_owned(),
        _ => format!(" in {}", list(&releases)),
    };
    match names.is_empty() {
        true => place,
        false => format!(" of {}{place}", list(&names)),
    }
}

/// The time that is asked for.
struct Time {
    /// `None`: any time.
    window: Option<Window>,
    is_overdue: bool,
}

impl Time {
    fn of(work: &Work, question: &Question<'_>) -> Self {
        let is_overdue = question.says(OVERDUE);
        let past = || match &question.when {
            When::Within(span) => Some(Window {
                from: Some(span.from),
                until: span.until.unwrap_or(work.now),
                name: span.name.clone(),
            }),
            When::Unsaid | When::Unclear => None,
        };
        let window = match is_overdue {
            true => Some(Window::past(work.now)),
            false => question.window.clone().or_else(past),
        };
        Self { window, is_overdue }
    }

    /// The due date of a task, if it is in this time.
    fn includes<'a>(&self, task: &&'a TaskFacts) -> Option<(Timestamp, &'a TaskFacts)> {
        let due = task.due_at?;
        let is_in =
            |window: &Window| window.from.is_none_or(|from| from <= due) && due < window.until;
        self.window
            .as_ref()
            .is_none_or(is_in)
            .then_some((due, *task))
    }

    /// What is said of so many tasks: "are due this week".
    fn verb(&self, number: usize) -> String {
        let plural = number > 1;
        let are = if plural { "are" } else { "is" };
        match &self.window {
            _ if self.is_overdue => format!("{are} overdue"),
            Some(window) => format!("{are} due {}", window.name),
            None if plural => "have a due date".to_owned(),
            None => "has a due date".to_owned(),
        }
    }
}
