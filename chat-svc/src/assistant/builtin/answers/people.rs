//! Who works on what.

use std::fmt::Write as _;

use super::{blocker, of_releases, placed, reason};
use crate::{
    assistant::builtin::{
        question::Question,
        words::{count, moment, person, quoted, sentence},
    },
    prompt::{Blocker, NextTask, ReleaseFacts, TaskFacts, TaskState, Work},
};

pub(super) fn people(work: &Work, question: &Question<'_>) -> String {
    of_releases(work, question, team)
}

/// [`of_person`] of each of those who are named.
pub(super) fn of_others(work: &Work, question: &Question<'_>) -> String {
    let told = question.others.iter();
    let told = told.map(|name| of_person(work, &question.releases, name));
    told.collect::<Vec<_>>().join("\n")
}

/// What one person works on, what is next for them and what stands in its way, and how much
/// of theirs is done: in these releases, or in all that are known.
pub(super) fn of_person(work: &Work, releases: &[&ReleaseFacts], name: &str) -> String {
    let all: Vec<&ReleaseFacts> = work.releases.iter().collect();
    let place = match releases {
        [] => "the releases you have a part in".to_owned(),
        [release] => release.name.clone(),
        _ => "these releases".to_owned(),
    };
    let releases = if releases.is_empty() { &all } else { releases };
    let tasks: Vec<&TaskFacts> = releases
        .iter()
        .flat_map(|release| &release.tasks)
        .filter(|task| task.assignee == name)
        .collect();
    let who = person(work, name);
    let (is, has) = if who == "you" {
        ("are", "have")
    } else {
        ("is", "has")
    };
    if tasks.is_empty() {
        return sentence(&format!("{who} {has} no task in {place}."));
    }
    let current = tasks.iter().find(|task| task.state == TaskState::InProcess);
    let mut text = match current {
        Some(task) => {
            let since = task.started_at.map(moment);
            let since = since.map_or_else(String::new, |since| format!(", since {since}"));
            format!("{who} {is} working on {}{since}.", placed(task))
        }
        None => format!("{who} {is} not working on a task in {place} at the moment."),
    };
    let mut open: Vec<NextTask> = tasks
        .iter()
        .filter(|task| task.state == TaskState::Todo)
        .map(|task| NextTask {
            task: (*task).clone(),
            blocked_by: blocker(work, task),
        })
        .collect();
    // What can start first is next; else the order stays.
    open.sort_by_key(|next| matches!(next.blocked_by, Some(Blocker::Predecessor(_))));
    if let Some(next) = open.first() {
        let _ = write!(text, " Next for {who} is {}. ", placed(&next.task));
        text.push_str(&match &next.blocked_by {
            Some(Blocker::OwnWork(_)) => format!("It can start as soon as {who} {is} done."),
            _ => reason(work, next, "It"),
        });
    }
    let done = tasks
        .iter()
        .filter(|task| task.state == TaskState::Completed)
        .count();
    let _ = match tasks.len() {
        1 if done == 1 => write!(text, " {} completed the only task there.", sentence(who)),
        1 => Ok(()),
        all => write!(
            text,
            " {} {has} completed {done} of {all} tasks there.",
            sentence(who)
        ),
    };
    sentence(&text)
}

/// Who is at work on a release, and with whom its open tasks are.
pub(super) fn team(work: &Work, release: &ReleaseFacts) -> String {
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
    let mut text = if working.is_empty() {
        format!("{name}: nobody is working on it at the moment.")
    } else {
        format!("{name}: {}.", working.join(", "))
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
    if !waiting.is_empty() {
        let shares = waiting.iter().map(|(owner, tasks)| {
            let tasks_of = count(tasks.len(), "task");
            format!(
                "{} ({tasks_of}, first {})",
                person(work, owner),
                quoted(tasks[0])
            )
        });
        let shares: Vec<_> = shares.collect();
        let _ = write!(text, " Still to start: {}.", shares.join(", "));
    }
    text
}
