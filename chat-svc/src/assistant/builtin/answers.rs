//! What the built-in assistant answers.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use slipway_rpc::access::Role;

use super::{
    topic::{Topic, Words, named_people, named_releases, named_tasks, topic},
    words::{count, moment, person, quoted, sentence, standing},
};
use crate::prompt::{Blocker, NextTask, ReleaseFacts, TaskFacts, TaskState, Work};

/// Changes that are told of at most.
const MAX_CHANGES: usize = 15;

const ABOUT: &str = "I am Slipway's built-in assistant. I am not a language model: I answer by \
rules, from your tasks and the releases you have a part in. You can ask me\n\
- what is next for you,\n\
- why a task of yours is blocked,\n\
- how far a release is,\n\
- who works on what,\n\
- what changed since yesterday.\n\
I cannot answer anything else.";

/// The answer to a question.
pub(super) fn answer(work: &Work, question: &str) -> String {
    let words = Words::of(question);
    match topic(&words, work) {
        Topic::Next => next(work),
        Topic::Blocked => blocked(work, &words),
        Topic::Progress => of_releases(work, &words, progress),
        Topic::People => people(work, &words),
        Topic::Changes => changes(work, &words),
        Topic::Unknown => ABOUT.to_owned(),
    }
}

fn next(work: &Work) -> String {
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
    let Some(first) = work.next.first() else {
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
    match work.next.len() - 1 {
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
        Some(Blocker::OwnWork(own)) => format!(
            "{it} cannot start yet, because you are working on {} in {}: one task at a time. \
             Complete that one first.",
            quoted(own),
            own.release
        ),
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

fn blocked(work: &Work, words: &Words) -> String {
    let tasks = named_tasks(words, work);
    let releases = named_releases(words, work);
    let meant = |next: &&NextTask| {
        let by_title = tasks.iter().any(|task| task.id == next.task.id);
        let by_release = releases
            .iter()
            .any(|release| release.id == next.task.release_id);
        by_title || (tasks.is_empty() && (releases.is_empty() || by_release))
    };
    let meant: Vec<&NextTask> = work.next.iter().filter(meant).collect();
    if let (true, Some(task)) = (meant.is_empty(), tasks.first()) {
        return of_task(work, task);
    }
    let held: Vec<_> = meant
        .iter()
        .filter(|next| next.blocked_by.is_some())
        .collect();
    match (held.first(), meant.first()) {
        (_, Some(free)) if free.blocked_by.is_none() && tasks.is_empty() && held.is_empty() => {
            format!("Nothing blocks you. {}", next(work))
        }
        (Some(next), _) => reason(work, next, &placed(&next.task)),
        (None, Some(next)) => reason(work, next, &placed(&next.task)),
        (None, None) => format!("No task of yours is blocked. {}", next(work)),
    }
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
fn of_releases(work: &Work, words: &Words, tell: fn(&Work, &ReleaseFacts) -> String) -> String {
    let named = named_releases(words, work);
    let all: Vec<&ReleaseFacts> = work.releases.iter().collect();
    let meant = if named.is_empty() { &all } else { &named };
    if meant.is_empty() {
        return "You have no part in any release at the moment.".to_owned();
    }
    let told: Vec<String> = meant.iter().map(|release| tell(work, release)).collect();
    let mut text = told.join("\n");
    if named.is_empty() && work.more_releases {
        let number = work.releases.len();
        let _ = write!(
            text,
            "\nYou have a part in more releases; I look at {number} at a time."
        );
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
    let are = if done == 1 { "is" } else { "are" };
    let mut text = format!(
        "{name} is open: {done} of {} {are} completed ({percent} %).",
        count(total, "task")
    );
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
        None => text.push_str(" It has no tasks yet."),
    }
    text
}

fn people(work: &Work, words: &Words) -> String {
    if let Some(task) = named_tasks(words, work).first() {
        return of_task(work, task);
    }
    let people = named_people(words, work);
    if people.is_empty() {
        return of_releases(work, words, team);
    }
    let told = people.iter().map(|name| of_person(work, name));
    told.collect::<Vec<_>>().join("\n")
}

/// What one person works on, and what waits for them.
fn of_person(work: &Work, name: &str) -> String {
    let tasks: Vec<&TaskFacts> = work
        .releases
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
    let mut text = match tasks.iter().find(|task| task.state == TaskState::InProcess) {
        Some(task) => format!(
            "{who} {is} working on {} in {}.",
            quoted(task),
            task.release
        ),
        None => format!("{who} {is} not working on a task of your releases at the moment."),
    };
    let open: Vec<_> = tasks
        .iter()
        .filter(|task| task.state == TaskState::Todo)
        .collect();
    if let Some(first) = open.first() {
        let _ = write!(
            text,
            " {} {has} {} to start there; the first is {} in {}.",
            sentence(who),
            count(open.len(), "task"),
            quoted(first),
            first.release
        );
    }
    sentence(&text)
}

/// Who is at work on a release, and with whom its open tasks are.
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

fn changes(work: &Work, words: &Words) -> String {
    let since = start_of_yesterday(work.now);
    let named = named_releases(words, work);
    let all: Vec<&ReleaseFacts> = work.releases.iter().collect();
    let meant = if named.is_empty() { all } else { named };
    let mut changes: Vec<(Timestamp, String)> = Vec::new();
    for release in meant {
        changes.extend(changes_of(work, release));
    }
    changes.retain(|(at, _)| *at >= since);
    changes.sort_by(|a, b| b.cmp(a));
    let from = moment(since);
    if changes.is_empty() {
        return format!(
            "Nothing has changed since yesterday (from {from} on) in the releases you have a \
             part in."
        );
    }
    let mut text = format!("Since yesterday (from {from} on), newest first:");
    for (at, change) in changes.iter().take(MAX_CHANGES) {
        let _ = write!(text, "\n- {}: {change}", moment(*at));
    }
    if let more @ 1.. = changes.len().saturating_sub(MAX_CHANGES) {
        let _ = write!(text, "\n… and {} before those.", count(more, "change"));
    }
    text
}

/// What is known to have happened on a release: a task keeps when it was planned, started
/// and completed.
fn changes_of(work: &Work, release: &ReleaseFacts) -> Vec<(Timestamp, String)> {
    let name = &release.name;
    let planned = count(release.tasks.len(), "task");
    let mut changes = vec![(
        release.created_at,
        format!("{name} was planned; it has {planned}"),
    )];
    changes.extend(
        release
            .completed_at
            .map(|at| (at, format!("{name} was completed"))),
    );
    for task in &release.tasks {
        let (who, title) = (person(work, &task.assignee), quoted(task));
        if task.created_at > release.created_at {
            let kind = if task.hotfix { "the hotfix " } else { "" };
            changes.push((
                task.created_at,
                format!("{kind}{title} was added to {name} for {who}"),
            ));
        }
        changes.extend(
            task.started_at
                .map(|at| (at, format!("{who} started {title} in {name}"))),
        );
        changes.extend(
            task.completed_at
                .map(|at| (at, format!("{who} completed {title} in {name}"))),
        );
    }
    changes
}

fn start_of_yesterday(now: Timestamp) -> Timestamp {
    now.to_zoned(TimeZone::UTC)
        .yesterday()
        .and_then(|day| day.start_of_day())
        .map_or(now, |day| day.timestamp())
}

#[cfg(test)]
mod tests;
