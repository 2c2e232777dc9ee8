//! What changed.

use std::fmt::Write as _;

use jiff::Timestamp;
use slipway_rpc::access::Role;
use uuid::Uuid;

use crate::{
    assistant::builtin::{
        answers::{no_release, scope, tell_limits, tell_own_limit},
        question::Question,
        span::{When, since_yesterday},
        vocabulary::{COMPLETED, MY_DEEDS, PLANNED, STARTED},
        words::{count, list, moment, person, quoted, sentence},
    },
    prompt::{ReleaseFacts, TaskFacts, Work},
};

/// Maximum number of changes to list.
const MAX_CHANGES: usize = 15;

/// What can happen to a task or a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Planned,
    Started,
    Completed,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Planned, Self::Started, Self::Completed];

    /// The words that ask for it.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Planned => PLANNED,
            Self::Started => STARTED,
            Self::Completed => COMPLETED,
        }
    }

    /// Its name behind "nothing was".
    fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Started => "started",
            Self::Completed => "completed",
        }
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Change<'a> {
    at: Timestamp,
    text: String,
    kind: Kind,
    /// Who made it, if that is known.
    by: Option<&'a str>,
    release: Uuid,
    /// `None`: of the release.
    task: Option<Uuid>,
}

/// What changed in the time that is named, or since yesterday: by those, in those releases and
/// tasks, and of those kinds that are named.
pub(super) fn changes(work: &Work, question: &Question<'_>) -> String {
    if work.releases.is_empty() {
        return no_release(work).to_owned();
    }
    let span = match &question.when {
        When::Within(span) => span.clone(),
        When::Unsaid | When::Unclear => since_yesterday(work.now),
    };
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| question.says(kind.words()))
        .collect();
    let mut people = question.others.clone();
    let did = question.says(MY_DEEDS) && !question.says(&["miss*"]);
    if did || question.names_caller {
        people.push(&work.caller.username);
    }
    let is_meant = |change: &Change<'_>| {
        let in_time = change.at >= span.from && span.until.is_none_or(|until| change.at < until);
        let by_kind = kinds.is_empty() || kinds.contains(&change.kind);
        let by_person = people.is_empty() || change.by.is_some_and(|by| people.contains(&by));
        let (releases, tasks) = (&question.releases, &question.tasks);
        let by_release =
            releases.is_empty() || releases.iter().any(|release| release.id == change.release);
        let by_task = tasks.is_empty() || tasks.iter().any(|task| Some(task.id) == change.task);
        in_time && by_kind && by_person && by_release && by_task
    };
    let of_releases = work.releases.iter().flat_map(of_release);
    let of_tasks = work.tasks().flat_map(|task| of_task(work, task));
    let mut changes: Vec<_> = of_releases.chain(of_tasks).filter(is_meant).collect();
    changes.sort_by(|a, b| b.cmp(a));
    let time = match span.until {
        Some(until) => format!("from {} to {}", moment(span.from), moment(until)),
        None => format!("from {} on", moment(span.from)),
    };
    let place = match (&question.releases[..], &question.tasks[..]) {
        ([], []) => format!(" in {}", scope(work)),
        ([], tasks) => {
            let titles: Vec<_> = tasks
                .iter()
                .take(MAX_CHANGES)
                .map(|task| quoted(task))
                .collect();
            format!(" of {}", list(&titles))
        }
        (releases, _) => {
            let names: Vec<_> = releases.iter().map(|release| &release.name).collect();
            format!(" in {}", list(&names))
        }
    };
    let mut text = if changes.is_empty() {
        let what = match &kinds[..] {
            [] if people.is_empty() => "has changed".to_owned(),
            [] => "was done".to_owned(),
            kinds => {
                let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
                format!("was {}", list(&names))
            }
        };
        let names: Vec<_> = people.iter().map(|name| person(work, name)).collect();
        let by = match names.is_empty() {
            true => String::new(),
            false => format!(" by {}", list(&names)),
        };
        format!("Nothing {what}{by} {} ({time}){place}.", span.name)
    } else {
        let mut text = format!("{} ({time}){place}, newest first:", sentence(&span.name));
        for change in changes.iter().take(MAX_CHANGES) {
            let _ = write!(text, "\n- {}: {}", moment(change.at), change.text);
        }
        if let more @ 1.. = changes.len().saturating_sub(MAX_CHANGES) {
            let _ = write!(text, "\n… and {} before those.", count(more, "change"));
        }
        text
    };
    let is_own = people[..] == [work.caller.username.as_str()];
    if is_own && work.caller.role == Role::Admin {
        text.push_str(
            "\nI see who starts and completes tasks, not who plans, changes or completes releases.",
        );
    }
    match is_own {
        true => tell_own_limit(work, &mut text),
        false if question.releases.is_empty() && question.tasks.is_empty() => {
            tell_limits(work, &mut text);
        }
        false => {}
    }
    text
}

/// What is known to have happened to a release.
fn of_release(release: &ReleaseFacts) -> Vec<Change<'_>> {
    let name = &release.name;
    let change = |at, kind, text| Change {
        at,
        text,
        kind,
        by: None,
        release: release.id,
        task: None,
    };
    let tasks = count(release.tasks.len(), "task");
    let planned = format!("{name} was planned; it has {tasks}");
    let completed = release.completed_at.map(|at| {
        let text = format!("{name} was completed");
        change(at, Kind::Completed, text)
    });
    let planned = change(release.created_at, Kind::Planned, planned);
    [planned].into_iter().chain(completed).collect()
}

/// What is known to have happened to a task: it stores when it was planned, started and completed.
fn of_task<'a>(work: &Work, task: &'a TaskFacts) -> Vec<Change<'a>> {
    let change = |at, kind, by, text| Change {
        at,
        text,
        kind,
        by,
        release: task.release_id,
        task: Some(task.id),
    };
    let (owner, release) = (task.assignee.as_str(), &task.release);
    let (who, title) = (person(work, owner), quoted(task));
    // The tasks that a release was planned with are not told one by one.
    let planned = work.release(task.release_id);
    let is_added = planned.is_none_or(|planned| task.created_at > planned.created_at);
    let added = is_added.then(|| {
        let hotfix = if task.hotfix { "the hotfix " } else { "" };
        let text = format!("{hotfix}{title} was added to {release} for {who}");
        change(task.created_at, Kind::Planned, None, text)
    });
    let started = task.started_at.map(|at| {
        let text = format!("{who} started {title} in {release}");
        change(at, Kind::Started, Some(owner), text)
    });
    let completed = task.completed_at.map(|at| {
        let text = format!("{who} completed {title} in {release}");
        change(at, Kind::Completed, Some(owner), text)
    });
    [added, started, completed].into_iter().flatten().collect()
}
