//! Who works on what.

use std::{cmp::Reverse, fmt::Write as _};

use super::{
    MAX_NAMED, blocker, due_note, of_releases, placed, reason, scope, tell_limits, tell_own_limit,
};
use crate::{
    assistant::builtin::{
        question::Question,
        vocabulary::COMPLETED,
        words::{count, moment, person, quoted, sentence},
    },
    prompt::{Blocker, NextTask, ReleaseFacts, TaskFacts, TaskState, Work},
};

/// Who works on each release that is meant.
pub(super) fn people(work: &Work, question: &Question<'_>) -> String {
    of_releases(work, question, team)
}

/// [`of_person`] of each of those who are named.
pub(super) fn of_others(work: &Work, question: &Question<'_>) -> String {
    let caller = work.caller.username.as_str();
    let people = question.others.iter().copied();
    let people = people.chain(question.names_caller.then_some(caller));
    let told = people.map(|name| of_person(work, question, name));
    told.collect::<Vec<_>>().join("\n")
}

/// What a person works on, their next task and what blocks it, and how many of their tasks are
/// completed: in the releases that are named, or in all that were read. If the question is about
/// completed tasks, also which.
pub(super) fn of_person(work: &Work, question: &Question<'_>, name: &str) -> String {
    let releases = question.releases.as_slice();
    let who = person(work, name);
    let is_caller = who == "you";
    let (is, has) = match is_caller {
        true => ("are", "have"),
        false => ("is", "has"),
    };
    let place = match releases {
        [] if is_caller => String::new(),
        [] => format!(" in {}", scope(work)),
        [release] => format!(" in {}", release.name),
        _ => " in these releases".to_owned(),
    };
    let is_meant = |task: &&TaskFacts| {
        let mut releases = releases.iter();
        let by_release = releases.len() == 0 || releases.any(|found| found.id == task.release_id);
        task.assignee == name && by_release
    };
    let tasks: Vec<&TaskFacts> = work.tasks().filter(is_meant).collect();
    let tell_limit = |text: &mut String| match (releases, is_caller) {
        ([], true) => tell_own_limit(work, text),
        ([], false) => tell_limits(work, text),
        _ => {}
    };
    if tasks.is_empty() {
        let mut text = sentence(&format!("{who} {has} no task{place}."));
        tell_limit(&mut text);
        return text;
    }
    let current = tasks.iter().find(|task| task.state == TaskState::InProcess);
    let mut text = match current {
        Some(task) => {
            let since = task.started_at.map(moment);
            let since = since.map_or_else(String::new, |since| format!(", since {since}"));
            let due = due_note(work, task);
            format!("{who} {is} working on {}{since}{due}.", placed(task))
        }
        None => format!("{who} {is} not working on a task{place} at the moment."),
    };
    let mut open: Vec<NextTask> = tasks
        .iter()
        .filter(|task| task.state == TaskState::Todo)
        .map(|task| NextTask {
            task: (*task).clone(),
            blocked_by: blocker(work, task),
        })
        .collect();
    // A stable sort: what can start comes first.
    open.sort_by_key(|next| matches!(next.blocked_by, Some(Blocker::Predecessor(_))));
    if let Some(next) = open.first() {
        let due = due_note(work, &next.task);
        let _ = write!(text, " Next for {who} is {}{due}. ", placed(&next.task));
        text.push_str(&match &next.blocked_by {
            Some(Blocker::OwnWork(_)) => {
                format!("It can start when {who} {has} completed the other one.")
            }
            _ => reason(work, next, "It"),
        });
    }
    let is_done = |task: &&&TaskFacts| task.state == TaskState::Completed;
    let mut done: Vec<_> = tasks.iter().filter(is_done).collect();
    done.sort_by_key(|task| Reverse(task.completed_at));
    let (who, all) = (sentence(who), count(tasks.len(), "task"));
    let _ = write!(text, " {who} {has} completed {} of {all}.", done.len());
    if question.says(COMPLETED) && !done.is_empty() {
        let titles: Vec<_> = done.iter().map(|task| placed(task)).collect();
        let _ = write!(text, " Completed last: {}.", first(&titles, ", "));
    }
    let mut text = sentence(&text);
    tell_limit(&mut text);
    text
}

/// Who works on a release, and who has tasks there that are not started.
fn team(work: &Work, release: &ReleaseFacts) -> String {
    let name = &release.name;
    let working: Vec<String> = release
        .tasks
        .iter()
        .filter(|task| task.state == TaskState::InProcess)
        .map(|task| match person(work, &task.assignee) {
            "you" => format!("you are working on {}", quoted(task)),
            name => format!("{name} is working on {}", quoted(task)),
        })
        .collect();
    let mut text = match working.is_empty() {
        true => format!("{name}: nobody is working on it at the moment."),
        false => format!("{name}: {}.", first(&working, "; ")),
    };
    let mut waiting: Vec<(&str, Vec<&TaskFacts>)> = Vec::new();
    for task in release
        .tasks
        .iter()
        .filter(|task| task.state == TaskState::Todo)
    {
        match waiting
            .iter_mut()
            .find(|(owner, _)| *owner == task.assignee)
        {
            Some((_, tasks)) => tasks.push(task),
            None => waiting.push((&task.assignee, vec![task])),
        }
    }
    let shares = waiting.iter().map(|(owner, tasks)| {
        let (who, number) = (person(work, owner), count(tasks.len(), "task"));
        format!("{who} ({number}, first {})", quoted(tasks[0]))
    });
    let shares: Vec<_> = shares.collect();
    if !shares.is_empty() {
        let _ = write!(text, " Still to start: {}.", first(&shares, ", "));
    }
    text
}

/// The first of these, and how many there are besides.
fn first(told: &[String], between: &str) -> String {
    let mut text = told[..told.len().min(MAX_NAMED)].join(between);
    if let more @ 1.. = told.len().saturating_sub(MAX_NAMED) {
        let _ = write!(text, "{between}and {more} more");
    }
    text
}
