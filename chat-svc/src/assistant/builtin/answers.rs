//! The answers of the built-in assistant.

mod changes;
mod due;
mod in_process;
mod next;
mod people;
mod progress;

use std::fmt::Write as _;

use slipway_rpc::access::Role;

use self::{
    changes::changes,
    due::due,
    in_process::in_process,
    next::{blocked, blocker, next, reason, startable},
    people::{of_others, of_person, people},
    progress::{of_releases, progress},
};
use super::{
    question::{Question, parts},
    span::is_time,
    topic::{Topic, topic},
    vocabulary::PEOPLE,
    words::{list, moment, person, quoted, standing},
};
use crate::prompt::{NextTask, TaskFacts, TaskState, Work};

/// Maximum number of people, releases or tasks to list.
const MAX_NAMED: usize = 10;

/// Maximum length of an unknown name in an answer, in characters.
const MAX_STRANGER: usize = 60;

/// Maximum number of questions in a text that are answered one by one.
const MAX_PARTS: usize = 4;

const ABOUT: &str = "I am Slipway's built-in assistant. I am not a language model: I answer by \
rules, from your tasks and your releases. Your releases are those you have a task in; those of an \
administrator are all. I can answer\n\
- what is next for you, or for somebody else by name,\n\
- why a task cannot start, and who waits for you,\n\
- how far a release is, and where a task stands,\n\
- what is due or overdue, such as “what is due this week?”,\n\
- which tasks are in process,\n\
- who works on what,\n\
- what changed since yesterday, last week, or in the last 3 days.\n\
I cannot answer anything else.";

/// The answer to a text with one question or several.
pub(super) fn answer(work: &Work, text: &str) -> String {
    let parts = parts(text);
    let parts: Vec<_> = parts.iter().map(|part| Question::of(part, work)).collect();
    // A part such as "and why?" is no question of its own.
    let stands_alone = |part: &Question<'_>| {
        let refers = part
            .words
            .any(&["it", "its", "that", "there", "they", "them"]);
        topic(part).is_answered() && !(refers && part.names_nothing())
    };
    if (2..=MAX_PARTS).contains(&parts.len()) && parts.iter().all(stands_alone) {
        let mut answers: Vec<_> = parts.iter().map(|part| answer_one(work, part)).collect();
        answers.dedup();
        return answers.join("\n\n");
    }
    answer_one(work, &Question::of(text, work))
}

fn answer_one(work: &Work, question: &Question<'_>) -> String {
    let topic = topic(question);
    let of_caller = [Topic::Next, Topic::Startable, Topic::Blocked, Topic::Mine];
    let for_caller = of_caller.contains(&topic) && question.tasks.is_empty();
    let is_admin = work.caller.role == Role::Admin;
    let text = match topic {
        // An administrator has no tasks: the question is about everybody's.
        _ if for_caller && is_admin && !question.is_mine() => people(work, question),
        Topic::Next => next(work, question),
        Topic::Startable => startable(work, question),
        Topic::Blocked => blocked(work, question),
        Topic::BehindMe => behind_me(work),
        Topic::Task => of_tasks(work, question),
        Topic::Other => of_others(work, question),
        Topic::Mine => of_person(work, question, &work.caller.username),
        Topic::Progress => of_releases(work, question, progress),
        Topic::People => people(work, question),
        Topic::Changes => changes(work, question),
        Topic::Due => due(work, question),
        Topic::InProcess => in_process(work, question),
        Topic::Stranger => return stranger(work, question),
        Topic::Nameless => {
            let know = known(work);
            format!("I do not know whom you mean. Ask again with a name. {know}")
        }
        Topic::UnclearTime => "I do not understand this time. I can tell what is next and what is \
            due; and what changed today, yesterday, this or last week or month, since a weekday or \
            a date (2026-03-01), or in the last hours, days or weeks, such as “the last 3 days”."
            .to_owned(),
        Topic::Forecast => {
            let known = match question.others.is_empty() {
                true => of_releases(work, question, progress),
                false => of_others(work, question),
            };
            format!("I cannot tell how long something will take. What I know:\n{known}")
        }
        Topic::Deed => format!("I only answer questions; I cannot change anything.\n{ABOUT}"),
        Topic::Unknown => return ABOUT.to_owned(),
    };
    let mut lines = unread(question, topic, for_caller);
    lines.push(text);
    if question.names_hour && topic.is_answered() {
        lines.push(
            "I do not look at times of day, only at days and at the last hours, such as “the last \
             3 hours”."
                .to_owned(),
        );
    }
    lines.join("\n")
}

/// What of the question was not read.
fn unread(question: &Question<'_>, topic: Topic, for_caller: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(name) = &question.stranger {
        lines.push(format!("I do not know “{}”.", shortened(name)));
    }
    if !topic.is_answered() {
        return lines;
    }
    let mut odd = question.odd_words();
    if question.is_time_unclear() {
        let instead = match topic {
            Topic::Due => ", and answer for all due dates",
            _ => "",
        };
        lines.push(format!("I do not understand this time{instead}."));
        odd.retain(|word| !is_time(word) && word.parse::<u16>().is_err());
    }
    odd.dedup();
    let odd: Vec<_> = odd
        .iter()
        .take(MAX_NAMED)
        .map(|word| format!("“{}”", shortened(word)))
        .collect();
    if !odd.is_empty() {
        let is_assumed = for_caller && question.names_nothing() && !question.is_mine();
        let whose = if is_assumed {
            ", and answer for you"
        } else {
            ""
        };
        lines.push(format!("I do not understand {}{whose}.", list(&odd)));
    }
    lines
}

fn shortened(name: &str) -> String {
    slipway_runtime::text::shortened(name, MAX_STRANGER).into_owned()
}

/// That a name is unknown, and which names are known.
fn stranger(work: &Work, question: &Question<'_>) -> String {
    let name = shortened(question.stranger.as_deref().unwrap_or_default());
    format!("I do not know “{name}”. {}", known(work))
}

/// The names that are known.
fn known(work: &Work) -> String {
    if work.releases.is_empty() {
        return no_release(work).to_owned();
    }
    let releases: Vec<_> = work.releases.iter().map(|release| &*release.name).collect();
    let mut people: Vec<&str> = Vec::new();
    for task in work.releases.iter().flat_map(|release| &release.tasks) {
        let name = person(work, &task.assignee);
        if !people.contains(&name) {
            people.push(name);
        }
    }
    let lead = match work.caller.role {
        Role::Admin => "I see these releases",
        Role::Developer | Role::Service => "I see only the releases you have a task in",
    };
    let mut text = format!("{lead}: {}", first(&releases));
    if !people.is_empty() {
        let _ = write!(
            text,
            "; and the people with tasks there: {}",
            first(&people)
        );
    }
    text.push('.');
    tell_limits(work, &mut text);
    text
}

fn no_release(work: &Work) -> &'static str {
    match work.caller.role {
        Role::Admin => "There is no release yet.",
        Role::Developer | Role::Service => {
            "You have no task in any release, and I do not see other releases."
        }
    }
}

/// The first of these names, and how many there are besides.
fn first(names: &[&str]) -> String {
    match names.len().saturating_sub(MAX_NAMED) {
        0 => list(names),
        more => format!("{} and {more} more", names[..MAX_NAMED].join(", ")),
    }
}

/// The releases that answers are about.
fn scope(work: &Work) -> &'static str {
    match work.caller.role {
        Role::Admin => "the releases",
        Role::Developer | Role::Service => "your releases",
    }
}

/// Whose tasks come after the caller's.
fn behind_me(work: &Work) -> String {
    if work.releases.is_empty() {
        return no_release(work).to_owned();
    }
    let is_mine = |task: &&TaskFacts| task.assignee == work.caller.username;
    let told = work.releases.iter().filter_map(|release| {
        let mine = release.front().filter(is_mine)?;
        let mut open = release
            .tasks
            .iter()
            .filter(|task| task.state != TaskState::Completed);
        let waiting = open.find(|task| !is_mine(task))?;
        let (name, after) = (&release.name, quoted(mine));
        let (who, task) = (&waiting.assignee, quoted(waiting));
        Some(format!(
            "In {name}, {who} waits for you: {task} comes after {after}."
        ))
    });
    let told: Vec<_> = told.collect();
    let mut text = match told.is_empty() {
        true => format!("Nobody in {} waits for you at the moment.", scope(work)),
        false => told.join("\n"),
    };
    tell_limits(work, &mut text);
    text
}

/// The state and the owner of each task that is named, and why it cannot start.
fn of_tasks(work: &Work, question: &Question<'_>) -> String {
    let (tasks, topic) = (&question.tasks, topic(question));
    let told = tasks.iter().take(MAX_NAMED).map(|task| {
        if task.state != TaskState::Todo {
            return of_task(work, task);
        }
        let next = NextTask {
            task: (*task).clone(),
            blocked_by: blocker(work, task),
        };
        match topic {
            Topic::Blocked => reason(work, &next, &placed(task)),
            _ if question.says(PEOPLE) => of_task(work, task),
            _ => format!("{} {}", of_task(work, task), reason(work, &next, "It")),
        }
    });
    let mut text = told.collect::<Vec<_>>().join("\n");
    if tasks.len() > MAX_NAMED {
        let number = tasks.len();
        text = format!("I find {number} such tasks; the first {MAX_NAMED} are:\n{text}");
    }
    if tasks.len() > 1 {
        tell_limits(work, &mut text);
    }
    text
}

/// A task with its release: “Sign the packages” in Spring.
fn placed(task: &TaskFacts) -> String {
    format!("{} in {}", quoted(task), task.release)
}

/// The owner and the state of a task.
fn of_task(work: &Work, task: &TaskFacts) -> String {
    let who = match person(work, &task.assignee) {
        "you" => "is yours".to_owned(),
        name => format!("belongs to {name}"),
    };
    let due = due_note(work, task);
    let standing = standing(work, task);
    format!("{} {who}{due}; {standing}.", placed(task))
}

/// When an open task is due: ", overdue since 4 March 2026, 10:00 UTC".
fn due_note(work: &Work, task: &TaskFacts) -> String {
    match task.due_at.filter(|_| task.state != TaskState::Completed) {
        Some(due) if due < work.now => format!(", overdue since {}", moment(due)),
        Some(due) => format!(", due on {}", moment(due)),
        None => String::new(),
    }
}

/// Says that there are releases or tasks that were not read, if there are.
fn tell_limits(work: &Work, text: &mut String) {
    if work.more_releases {
        let read = work.releases.len();
        let _ = write!(
            text,
            "\nI read only {read} of {}; there are more.",
            scope(work)
        );
    }
    tell_own_limit(work, text);
}

/// Says that the caller has tasks that were not read, if there are.
fn tell_own_limit(work: &Work, text: &mut String) {
    if work.more_tasks {
        let read = work.current.iter().len() + work.next.len() + work.completed.len();
        let _ = write!(text, "\nI read only {read} of your tasks; you have more.");
    }
}

#[cfg(test)]
mod tests;
