//! What the built-in assistant answers.

mod changes;
mod people;

use std::fmt::Write as _;

use slipway_rpc::access::Role;

use self::{
    changes::changes,
    people::{of_others, of_person, people},
};
use super::{
    question::Question,
    topic::{Topic, topic},
    vocabulary::PEOPLE,
    words::{count, list, moment, person, quoted, standing},
};
use crate::prompt::{Blocker, NextTask, ReleaseFacts, TaskFacts, TaskState, Work};

/// People or tasks that are named at most where all are meant.
const MAX_NAMED: usize = 10;

/// Characters of a name that is not known, as it is repeated.
const MAX_STRANGER: usize = 60;

const ABOUT: &str = "I am Slipway's built-in assistant. I am not a language model: I answer by \
rules, from your tasks and the releases you have a part in. You can ask me\n\
- what is next for you, or for somebody else by name,\n\
- why a task is blocked, and who waits for you,\n\
- how far a release is, and what is due,\n\
- who works on what,\n\
- what changed since yesterday, last week, or in the last 3 days.\n\
I cannot answer anything else.";

/// The answer to a question.
pub(super) fn answer(work: &Work, text: &str) -> String {
    let question = Question::of(text, work);
    match topic(&question) {
        Topic::Next => next(work, &question),
        Topic::Blocked => blocked(work, &question),
        Topic::BehindMe => behind_me(work),
        Topic::Task => of_tasks(work, &question),
        Topic::Other => of_others(work, &question),
        Topic::Mine => of_person(work, &question.releases, &work.caller.username),
        Topic::Progress => of_releases(work, &question, progress),
        Topic::People => people(work, &question),
        Topic::Changes => changes(work, &question),
        Topic::Due => due(work, &question),
        Topic::Stranger => stranger(work, question.stranger.as_deref().unwrap_or_default()),
        Topic::Nameless => {
            let know = known(work);
            format!("I do not know whom you mean. Ask again with a name. {know}")
        }
        Topic::UnclearTime => "I can tell what is next and what is due; and what changed today, \
            yesterday, this or last week or month, since a day of the week or a date (2026-03-01), \
            or in the last so many hours, days or weeks. I do not understand another time."
            .to_owned(),
        Topic::Forecast => {
            let known = match question.others.is_empty() {
                true => of_releases(work, &question, progress),
                false => of_others(work, &question),
            };
            format!("I cannot tell how long something will take. What I know:\n{known}")
        }
        Topic::Deed => format!("I only answer questions; I cannot change anything.\n{ABOUT}"),
        Topic::Unknown => ABOUT.to_owned(),
    }
}

/// Something that is asked about and is not known.
fn stranger(work: &Work, name: &str) -> String {
    let name = slipway_runtime::text::shortened(name, MAX_STRANGER);
    format!("I do not know “{name}”. {}", known(work))
}

/// What is known by name.
fn known(work: &Work) -> String {
    if work.releases.is_empty() {
        return "You have no part in any release at the moment, and I know no others.".to_owned();
    }
    let releases: Vec<_> = work.releases.iter().map(|release| &release.name).collect();
    let mut people: Vec<&str> = Vec::new();
    for task in work.releases.iter().flat_map(|release| &release.tasks) {
        if !people.contains(&task.assignee.as_str()) {
            people.push(&task.assignee);
        }
    }
    let more = people.len().saturating_sub(MAX_NAMED);
    people.truncate(MAX_NAMED);
    let mut people: Vec<_> = people
        .iter()
        .map(|name| person(work, name).to_owned())
        .collect();
    if more > 0 {
        people.push(format!("{more} more"));
    }
    let mut text = format!(
        "I know the releases you have a part in: {}",
        list(&releases)
    );
    if !people.is_empty() {
        let _ = write!(text, "; and the people with tasks there: {}", list(&people));
    }
    text.push('.');
    tell_limit(work, &mut text);
    text
}

/// What the caller works on, and what comes after it, in the releases that are named.
fn next(work: &Work, question: &Question<'_>) -> String {
    let is_meant = |task: &TaskFacts| {
        let mut named = question.releases.iter();
        question.releases.is_empty() || named.any(|release| release.id == task.release_id)
    };
    let waiting: Vec<&NextTask> = work
        .next
        .iter()
        .filter(|next| is_meant(&next.task))
        .collect();
    let mut text = match &work.current {
        Some(task) => format!(
            "You are working on {} in {}{}. ",
            quoted(task),
            task.release,
            task.started_at
                .map_or_else(String::new, |at| format!(", since {}", moment(at)))
        ),
        None => String::new(),
    };
    let Some(first) = waiting.first() else {
        if let [release] = question.releases[..] {
            let _ = write!(text, "No task in {} waits for you.", release.name);
            return text;
        }
        text.push_str(match (&work.current, work.caller.role) {
            (Some(_), _) => "After that, nothing more is waiting for you.",
            (None, Role::Admin) => "No task waits for you: tasks belong to developers.",
            (None, _) => "You have no task to start at the moment.",
        });
        return text;
    };
    let task = &first.task;
    let hotfix = if task.hotfix { "the hotfix " } else { "" };
    let lead = if work.current.is_some() {
        "After that, next for you is"
    } else {
        "Next for you is"
    };
    let _ = write!(text, "{lead} {hotfix}{}", placed(task));
    if let Some(due) = task.due_at {
        let _ = write!(text, ", due on {}", moment(due));
    }
    text.push_str(". ");
    match &first.blocked_by {
        None => text.push_str("You can start it now."),
        Some(Blocker::OwnWork(_)) => text.push_str("It can start as soon as you are done."),
        Some(Blocker::Predecessor(_)) => text.push_str(&reason(work, first, "It")),
    }
    match waiting.len() - 1 {
        0 => {}
        1 => text.push_str(" Behind it, 1 more task of yours waits."),
        more => {
            let _ = write!(text, " Behind it, {more} more tasks of yours wait.");
        }
    }
    text
}

/// Why a task, called `it`, cannot start.
fn reason(work: &Work, next: &NextTask, it: &str) -> String {
    match &next.blocked_by {
        None => format!("{it} can start now."),
        Some(Blocker::OwnWork(own)) => {
            let who = person(work, &own.assignee);
            let (are, hint) = match who {
                "you" => ("are", " Complete that one first."),
                _ => ("is", ""),
            };
            format!(
                "{it} cannot start yet, because {who} {are} working on {} in {}: one task at a \
                 time.{hint}",
                quoted(own),
                own.release
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
                    " The release stands at {}: {}.",
                    quoted(front),
                    standing(work, front)
                );
            }
            text
        }
    }
}

/// Why the tasks that are named cannot start; else why what is next for the caller cannot.
fn blocked(work: &Work, question: &Question<'_>) -> String {
    if !question.tasks.is_empty() {
        return of_tasks(work, question);
    }
    let is_meant = |next: &&NextTask| {
        let mut named = question.releases.iter();
        question.releases.is_empty() || named.any(|release| release.id == next.task.release_id)
    };
    let meant: Vec<&NextTask> = work.next.iter().filter(is_meant).collect();
    let held = meant.iter().find(|next| next.blocked_by.is_some());
    match (held, meant.is_empty()) {
        (Some(next), _) => reason(work, next, &placed(&next.task)),
        (None, false) => format!("Nothing blocks you. {}", next(work, question)),
        (None, true) => format!("No task of yours is blocked. {}", next(work, question)),
    }
}

/// Whose work waits for the caller's.
fn behind_me(work: &Work) -> String {
    let mut told = Vec::new();
    for release in &work.releases {
        let is_mine = |task: &&TaskFacts| task.assignee == work.caller.username;
        let open = || {
            let tasks = release.tasks.iter();
            tasks.filter(|task| task.state != TaskState::Completed)
        };
        let Some(mine) = release.front().filter(is_mine) else {
            continue;
        };
        if let Some(waiting) = open().find(|task| !is_mine(task)) {
            told.push(format!(
                "In {}, {} waits with {} until you have completed {}.",
                release.name,
                waiting.assignee,
                quoted(waiting),
                quoted(mine)
            ));
        }
    }
    if told.is_empty() {
        return "Nobody waits for you at the moment, in the releases you have a part in."
            .to_owned();
    }
    told.join("\n")
}

/// What keeps a task from starting, as far as the releases that are known show it.
fn blocker(work: &Work, task: &TaskFacts) -> Option<Blocker> {
    let tasks = &work.release(task.release_id)?.tasks;
    let before = tasks.iter().take_while(|other| other.id != task.id).last();
    if let Some(before) = before.filter(|before| before.state != TaskState::Completed) {
        return Some(Blocker::Predecessor(before.clone()));
    }
    let mut all = work.releases.iter().flat_map(|release| &release.tasks);
    let own = all.find(|own| own.assignee == task.assignee && own.state == TaskState::InProcess);
    own.cloned().map(Blocker::OwnWork)
}

/// Where each of the tasks that are named stands, whose it is, and why it cannot start.
fn of_tasks(work: &Work, question: &Question<'_>) -> String {
    let told = question.tasks.iter().take(MAX_NAMED).map(|task| {
        if task.state != TaskState::Todo {
            return of_task(work, task);
        }
        let next = NextTask {
            task: (*task).clone(),
            blocked_by: blocker(work, task),
        };
        match topic(question) {
            Topic::Blocked => reason(work, &next, &placed(task)),
            _ if question.says(PEOPLE) => of_task(work, task),
            _ => format!("{} {}", of_task(work, task), reason(work, &next, "It")),
        }
    });
    told.collect::<Vec<_>>().join("\n")
}

/// A task with its release: “Sign the packages” in Spring.
fn placed(task: &TaskFacts) -> String {
    format!("{} in {}", quoted(task), task.release)
}

/// Where one task stands, and whose it is.
fn of_task(work: &Work, task: &TaskFacts) -> String {
    let who = match person(work, &task.assignee) {
        "you" => "is yours".to_owned(),
        name => format!("belongs to {name}"),
    };
    let standing = standing(work, task);
    format!("{} {who}; {standing}.", placed(task))
}

/// The same of each release that is meant: those named, or all that are known.
fn of_releases(
    work: &Work,
    question: &Question<'_>,
    tell: fn(&Work, &ReleaseFacts) -> String,
) -> String {
    let named = &question.releases;
    let all: Vec<&ReleaseFacts> = work.releases.iter().collect();
    let meant = if named.is_empty() { &all } else { named };
    if meant.is_empty() {
        return "You have no part in any release at the moment.".to_owned();
    }
    let told: Vec<String> = meant.iter().map(|release| tell(work, release)).collect();
    let mut text = told.join("\n");
    if named.is_empty() {
        tell_limit(work, &mut text);
    }
    text
}

fn progress(work: &Work, release: &ReleaseFacts) -> String {
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
    let mut text = format!("{name} is open: {share}.");
    match release.front() {
        Some(front) => {
            let _ = write!(
                text,
                " It stands at {}: {}.",
                quoted(front),
                standing(work, front)
            );
        }
        None if total > 0 => text.push_str(" An admin can declare it completed."),
        None => {}
    }
    text
}

/// What is to be done until when: by the caller, by those who are named, in what is named.
fn due(work: &Work, question: &Question<'_>) -> String {
    let named = !question.releases.is_empty() || !question.tasks.is_empty();
    let is_meant = |task: &&TaskFacts| {
        let is_of = |name: &&&str| **name == task.assignee;
        let mut releases = question.releases.iter();
        let mut tasks = question.tasks.iter();
        let by_person = match question.others.is_empty() {
            true => named || question.says(PEOPLE) || task.assignee == work.caller.username,
            false => question.others.iter().any(|name| is_of(&name)),
        };
        let by_release =
            question.releases.is_empty() || releases.any(|release| release.id == task.release_id);
        let by_task = question.tasks.is_empty() || tasks.any(|named| named.id == task.id);
        task.state != TaskState::Completed && by_person && by_release && by_task
    };
    let known = work.releases.iter().flat_map(|release| &release.tasks);
    let in_others = |task: &&TaskFacts| {
        let mut releases = work.releases.iter();
        !releases.any(|release| release.id == task.release_id)
    };
    let own = work.next.iter().map(|next| &next.task).filter(in_others);
    let mut dated: Vec<_> = known
        .chain(own)
        .filter(is_meant)
        .filter_map(|task| Some((task.due_at?, task)))
        .collect();
    dated.sort_by_key(|(due, _)| *due);
    if dated.is_empty() {
        let mut text = "No open task of those you ask for has a date when it is due, in the \
                        releases you have a part in."
            .to_owned();
        tell_limit(work, &mut text);
        return text;
    }
    let overdue = dated.iter().filter(|(at, _)| *at < work.now).count();
    let overdue = match overdue {
        0 => "Nothing is overdue.".to_owned(),
        1 => "1 task is overdue.".to_owned(),
        n => format!("{n} tasks are overdue."),
    };
    let mut text = format!("{overdue} Open tasks that are due, soonest first:");
    for (at, task) in dated.iter().take(MAX_NAMED) {
        let late = if *at < work.now { " (overdue)" } else { "" };
        let (task_at, who) = (moment(*at), person(work, &task.assignee));
        let _ = write!(text, "\n- {task_at}{late}: {} ({who})", placed(task));
    }
    if let more @ 1.. = dated.len().saturating_sub(MAX_NAMED) {
        let _ = write!(text, "\n… and {} after those.", count(more, "task"));
    }
    tell_limit(work, &mut text);
    text
}

/// Says that there are releases which were not looked at, if there are.
fn tell_limit(work: &Work, text: &mut String) {
    if work.more_releases {
        let number = work.releases.len();
        let _ = write!(
            text,
            "\nYou have a part in more releases; I look at {number} at a time."
        );
    }
}

#[cfg(test)]
mod tests;
