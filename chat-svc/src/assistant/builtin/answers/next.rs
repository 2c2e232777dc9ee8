//! What the caller works on, what comes next, and what blocks it.

use std::fmt::Write as _;

use slipway_rpc::access::Role;

use super::{MAX_NAMED, due_note, of_tasks, placed, tell_own_limit};
use crate::{
    assistant::builtin::{
        question::Question,
        words::{count, list, moment, person, quoted, standing},
    },
    prompt::{Blocker, NextTask, ReleaseFacts, TaskFacts, TaskState, Work},
};

/// The tasks of the caller that can be meant, of those that are not started.
fn waiting<'a>(work: &'a Work, question: &Question<'_>) -> Vec<&'a NextTask> {
    let is_meant = |next: &&NextTask| {
        let mut named = question.releases.iter();
        question.releases.is_empty() || named.any(|release| release.id == next.task.release_id)
    };
    work.next.iter().filter(is_meant).collect()
}

/// What the caller works on and what comes next, in the releases that are named.
pub(super) fn next(work: &Work, question: &Question<'_>) -> String {
    let waiting = waiting(work, question);
    let mut text = match &work.current {
        Some(task) => {
            let since = task.started_at.map(moment);
            let since = since.map_or_else(String::new, |at| format!(", since {at}"));
            let due = due_note(work, task);
            format!("You are working on {}{since}{due}. ", placed(task))
        }
        None => String::new(),
    };
    let Some((first, others)) = waiting.split_first() else {
        if !question.releases.is_empty() {
            let names: Vec<_> = question
                .releases
                .iter()
                .map(|release| &release.name)
                .collect();
            let _ = write!(text, "You have no task to start in {}.", list(&names));
            return text;
        }
        text.push_str(match (&work.current, work.caller.role) {
            (Some(_), _) => "You have no other task to start.",
            (None, Role::Admin) => "You have no task: only developers are assigned tasks.",
            (None, _) => "You have no task to start at the moment.",
        });
        return text;
    };
    let task = &first.task;
    let hotfix = if task.hotfix { "the hotfix " } else { "" };
    let lead = match work.current {
        Some(_) => "After that, next for you is",
        None => "Next for you is",
    };
    let due = due_note(work, task);
    let _ = write!(text, "{lead} {hotfix}{}{due}. ", placed(task));
    match &first.blocked_by {
        None => text.push_str("You can start it now."),
        Some(Blocker::OwnWork(_)) => {
            text.push_str("You can start it as soon as you complete your current task.");
        }
        Some(Blocker::Predecessor(_)) => text.push_str(&reason(work, first, "It")),
    }
    if !others.is_empty() {
        let more = count(others.len(), "more task");
        let is_list = question.says(&["tasks", "list", "all"]);
        let end = if is_list { ":" } else { "." };
        let _ = write!(text, " After it you have {more} to start{end}");
        if is_list {
            list_tasks(&mut text, others);
        }
    }
    tell_own_limit(work, &mut text);
    text
}

/// The caller's tasks that can start now.
pub(super) fn startable(work: &Work, question: &Question<'_>) -> String {
    let mut tasks = waiting(work, question);
    tasks.retain(|next| next.blocked_by.is_none());
    if tasks.is_empty() {
        return format!("None of your tasks can start now. {}", next(work, question));
    }
    let mut text = format!("{} of yours can start now:", count(tasks.len(), "task"));
    list_tasks(&mut text, &tasks);
    tell_own_limit(work, &mut text);
    text
}

/// Adds a line for each of the first tasks, and the number of the others.
fn list_tasks(text: &mut String, tasks: &[&NextTask]) {
    for next in tasks.iter().take(MAX_NAMED) {
        let _ = write!(text, "\n- {}", placed(&next.task));
    }
    if let more @ 1.. = tasks.len().saturating_sub(MAX_NAMED) {
        let _ = write!(text, "\n… and {more} more.");
    }
}

/// Why a task, called `it`, cannot start.
pub(super) fn reason(work: &Work, next: &NextTask, it: &str) -> String {
    match &next.blocked_by {
        None => format!("{it} can start now."),
        Some(Blocker::OwnWork(own)) => {
            let (are, hint) = match person(work, &own.assignee) {
                "you" => ("you are".to_owned(), " Complete that one first."),
                name => (format!("{name} is"), ""),
            };
            let own = placed(own);
            format!(
                "{it} cannot start yet, because {are} working on {own}: one task at a time.{hint}"
            )
        }
        Some(Blocker::Predecessor(before)) => {
            let mut text = format!(
                "{it} cannot start yet, because {} comes before it: {}.",
                quoted(before),
                standing(work, before)
            );
            let front = work
                .release(next.task.release_id)
                .and_then(ReleaseFacts::front);
            if let Some(front) = front.filter(|front| front.id != before.id) {
                let _ = write!(
                    text,
                    " The first open task there is {}: {}.",
                    quoted(front),
                    standing(work, front)
                );
            }
            text
        }
    }
}

/// Why the tasks that are named cannot start, or else the caller's next one.
pub(super) fn blocked(work: &Work, question: &Question<'_>) -> String {
    if !question.tasks.is_empty() {
        return of_tasks(work, question);
    }
    let waiting = waiting(work, question);
    let held: Vec<_> = waiting
        .iter()
        .filter(|next| next.blocked_by.is_some())
        .collect();
    let Some(first) = held.first() else {
        let lead = match waiting.is_empty() {
            true => "No task of yours is blocked.",
            false => "Nothing blocks you.",
        };
        return format!("{lead} {}", next(work, question));
    };
    let mut text = String::new();
    if held.len() < waiting.len() {
        text = format!("{} ", next(work, question));
    }
    text.push_str(&reason(work, first, &placed(&first.task)));
    if let more @ 1.. = held.len() - 1 {
        let are = if more == 1 { "is" } else { "are" };
        let more = count(more, "more task");
        let _ = write!(text, " {more} of yours {are} blocked too.");
    }
    tell_own_limit(work, &mut text);
    text
}

/// What keeps a task from starting, as far as the tasks that were read show it.
pub(super) fn blocker(work: &Work, task: &TaskFacts) -> Option<Blocker> {
    if let Some(own) = work.next.iter().find(|next| next.task.id == task.id) {
        return own.blocked_by.clone();
    }
    let tasks = &work.release(task.release_id)?.tasks;
    let before = tasks.iter().take_while(|other| other.id != task.id).last();
    if let Some(before) = before.filter(|before| before.state != TaskState::Completed) {
        return Some(Blocker::Predecessor(before.clone()));
    }
    let own = work
        .tasks()
        .find(|own| own.assignee == task.assignee && own.state == TaskState::InProcess);
    own.cloned().map(Blocker::OwnWork)
}
