//! How far releases are.

use std::fmt::Write as _;

use super::{MAX_NAMED, no_release, scope, tell_limits};
use crate::{
    assistant::builtin::{
        question::Question,
        vocabulary::{FINISHED, NOT, REOPENED},
        words::{count, moment, quoted, standing},
    },
    prompt::{ReleaseFacts, TaskFacts, TaskState, Work},
};

/// The same of each release that is meant: those named, or else the open ones; the completed ones
/// if the question asks for them.
pub(super) fn of_releases(
    work: &Work,
    question: &Question<'_>,
    tell: fn(&Work, &ReleaseFacts) -> String,
) -> String {
    let told = |releases: &[&ReleaseFacts]| {
        let told = releases.iter().take(MAX_NAMED);
        let told: Vec<_> = told.map(|release| tell(work, release)).collect();
        told.join("\n")
    };
    let named = &question.releases;
    if !named.is_empty() {
        let mut text = told(named);
        if let more @ 1.. = named.len().saturating_sub(MAX_NAMED) {
            let _ = write!(text, "\n{more} more releases have this name.");
        }
        if named.len() > 1 {
            tell_limits(work, &mut text);
        }
        return text;
    }
    if work.releases.is_empty() {
        return no_release(work).to_owned();
    }
    let completed = question.says(FINISHED) && question.says(&["releases"]) && !question.says(NOT);
    let reopened = question.says(REOPENED);
    let is_meant = |release: &&ReleaseFacts| {
        release.completed_at.is_some() == completed && (!reopened || is_reopened(release))
    };
    let mut meant: Vec<&ReleaseFacts> = work.releases.iter().filter(is_meant).collect();
    // A stable sort: those that somebody is working on come first.
    let is_active = |task: &TaskFacts| task.state == TaskState::InProcess;
    meant.sort_by_key(|release| !release.tasks.iter().any(is_active));
    let state = match (completed, reopened) {
        (true, _) => "completed",
        (false, true) => "reopened",
        (false, false) => "open",
    };
    let mut text = match meant.len() {
        0 => format!("None of {} is {state}.", scope(work)),
        1 => told(&meant),
        number => {
            let first = match number > MAX_NAMED {
                true => format!("; the first {MAX_NAMED}"),
                false => String::new(),
            };
            let tasks: usize = meant.iter().map(|release| release.tasks.len()).sum();
            let done: usize = meant.iter().map(|release| release.completed()).sum();
            format!(
                "{number} of {} are {state}, with {done} of {tasks} tasks completed{first}:\n{}",
                scope(work),
                told(&meant)
            )
        }
    };
    tell_limits(work, &mut text);
    text
}

/// Whether a hotfix reopened a release that had been completed.
fn is_reopened(release: &ReleaseFacts) -> bool {
    release.completed_at.is_none() && release.tasks.iter().any(|task| task.hotfix)
}

pub(super) fn progress(work: &Work, release: &ReleaseFacts) -> String {
    let (done, total) = (release.completed(), release.tasks.len());
    let name = &release.name;
    if let Some(at) = release.completed_at {
        let tasks = count(total, "task");
        return format!("{name} was completed on {}, with {tasks}.", moment(at));
    }
    let percent = (done * 100).checked_div(total).unwrap_or(0);
    let share = match (done, total) {
        (_, 0) => "it has no tasks yet".to_owned(),
        (0, 1) => "its only task is not completed".to_owned(),
        (1, 1) => "its only task is completed".to_owned(),
        (1, _) => format!("1 of {total} tasks is completed ({percent} %)"),
        _ => format!("{done} of {total} tasks are completed ({percent} %)"),
    };
    let state = if is_reopened(release) {
        "reopened"
    } else {
        "open"
    };
    let mut text = format!("{name} is {state}: {share}.");
    match release.front() {
        Some(front) => {
            let (title, standing) = (quoted(front), standing(work, front));
            let _ = write!(text, " The first open task is {title}: {standing}.");
        }
        None if total > 0 => text.push_str(" An administrator can complete it."),
        None => {}
    }
    text
}
