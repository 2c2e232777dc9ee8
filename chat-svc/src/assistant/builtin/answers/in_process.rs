//! Which tasks are in process.

use std::fmt::Write as _;

use super::{MAX_NAMED, due::whose, due_note, placed, tell_limits, tell_own_limit};
use crate::{
    assistant::builtin::{
        question::Question,
        vocabulary::STALE,
        words::{count, moment, person},
    },
    prompt::{TaskFacts, TaskState, Work},
};

/// The tasks in process: those of the people and in the releases that are named, or else all.
pub(super) fn in_process(work: &Work, question: &Question<'_>) -> String {
    let mut people = question.others.clone();
    if question.is_mine() {
        people.push(&work.caller.username);
    }
    let releases = &question.releases;
    let is_meant = |task: &&TaskFacts| {
        let by_person = people.is_empty() || people.contains(&&*task.assignee);
        let mut releases = releases.iter();
        let by_release = releases.len() == 0 || releases.any(|found| found.id == task.release_id);
        task.state == TaskState::InProcess && by_person && by_release
    };
    let mut tasks: Vec<&TaskFacts> = work.tasks().filter(is_meant).collect();
    tasks.sort_by_key(|task| task.started_at);
    let whose = whose(work, question, &people);
    let mut text = match tasks.len() {
        0 => format!("No task{whose} is in process."),
        1 => format!("1 task{whose} is in process:"),
        number => format!("{number} tasks{whose} are in process, the longest first:"),
    };
    for task in tasks.iter().take(MAX_NAMED) {
        let since = task.started_at.map(moment);
        let since = since.map_or_else(String::new, |since| format!(", since {since}"));
        let (who, due) = (person(work, &task.assignee), due_note(work, task));
        let _ = write!(text, "\n- {} ({who}){since}{due}", placed(task));
    }
    if let more @ 1.. = tasks.len().saturating_sub(MAX_NAMED) {
        let _ = write!(text, "\n… and {}.", count(more, "more task"));
    }
    if question.says(STALE) && !tasks.is_empty() {
        text.push_str("\nI do not know after how long a task is stale (`SLIPWAY_STALE_AFTER`).");
    }
    match people[..] == [work.caller.username.as_str()] {
        true => tell_own_limit(work, &mut text),
        false if releases.is_empty() => tell_limits(work, &mut text),
        false => {}
    }
    text
}
