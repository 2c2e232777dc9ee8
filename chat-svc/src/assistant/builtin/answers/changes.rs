//! What has happened.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use crate::{
    assistant::builtin::{
        answers::tell_limit,
        question::Question,
        span::{When, since_yesterday},
        vocabulary::MY_DEEDS,
        words::{count, list, moment, person, quoted, sentence},
    },
    prompt::{ReleaseFacts, Work},
};

/// Changes that are told of at most.
const MAX_CHANGES: usize = 15;

/// A release on which the caller has nothing more to do is not looked at after so long.
const LOOKED_AT: SignedDuration = SignedDuration::from_hours(48);

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
            Self::Planned => &["plan*", "add*", "creat*"],
            Self::Started => &["start*", "begin", "began", "begun"],
            Self::Completed => &[
                "complet*",
                "finish*",
                "done",
                "ship*",
                "clos*",
                "achiev*",
                "accomplish*",
            ],
        }
    }

    /// As it is said of nothing.
    fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Started => "started",
            Self::Completed => "completed",
        }
    }
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Change<'a> {
    at: Timestamp,
    text: String,
    kind: Kind,
    /// Who did it, if that is known.
    by: Option<&'a str>,
}

/// What has changed in the time that is named, or since yesterday: by those who are named,
/// of the kinds that are named.
pub(super) fn changes(work: &Work, question: &Question<'_>) -> String {
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
    let releases: Vec<&ReleaseFacts> = match question.releases.is_empty() {
        true => work.releases.iter().collect(),
        false => question.releases.clone(),
    };
    let mut changes: Vec<Change<'_>> = releases
        .iter()
        .flat_map(|release| changes_of(work, release))
        .filter(|change| {
            let in_time =
                change.at >= span.from && span.until.is_none_or(|until| change.at < until);
            let by = change.by.is_some_and(|by| people.contains(&by));
            in_time
                && (kinds.is_empty() || kinds.contains(&change.kind))
                && (people.is_empty() || by)
        })
        .collect();
    changes.sort_by(|a, b| b.cmp(a));
    let time = match span.until {
        Some(until) => format!("from {} to {}", moment(span.from), moment(until)),
        None => format!("from {} on", moment(span.from)),
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
        let place = match question.releases[..] {
            [release] => &release.name,
            _ => "the releases you have a part in",
        };
        format!("Nothing {what}{by} {} ({time}) in {place}.", span.name)
    } else {
        let mut text = format!("{} ({time}), newest first:", sentence(&span.name));
        for change in changes.iter().take(MAX_CHANGES) {
            let _ = write!(text, "\n- {}: {}", moment(change.at), change.text);
        }
        if let more @ 1.. = changes.len().saturating_sub(MAX_CHANGES) {
            let _ = write!(text, "\n… and {} before those.", count(more, "change"));
        }
        text
    };
    if question.names_hour {
        text.push_str(
            "\nI do not look at times of day, only at days and at the last so many hours.",
        );
    }
    if question.releases.is_empty() {
        tell_limit(work, &mut text);
    }
    if question.releases.is_empty() && span.from < work.now - LOOKED_AT {
        text.push_str(
            "\nI look only at the releases in which you have something to do, or had in the last \
             two days; more may have happened in others.",
        );
    }
    text
}

/// What is known to have happened on a release: a task keeps when it was planned, started
/// and completed.
fn changes_of<'a>(work: &'a Work, release: &'a ReleaseFacts) -> Vec<Change<'a>> {
    let name = &release.name;
    let change = |at: Timestamp, kind, by, text| Change { at, text, kind, by };
    let planned = count(release.tasks.len(), "task");
    let planned = format!("{name} was planned; it has {planned}");
    let mut changes = vec![change(release.created_at, Kind::Planned, None, planned)];
    changes.extend(release.completed_at.map(|at| {
        let text = format!("{name} was completed");
        change(at, Kind::Completed, None, text)
    }));
    for task in &release.tasks {
        let owner = task.assignee.as_str();
        let (who, title) = (person(work, owner), quoted(task));
        if task.created_at > release.created_at {
            let hotfix = if task.hotfix { "the hotfix " } else { "" };
            let text = format!("{hotfix}{title} was added to {name} for {who}");
            changes.push(change(task.created_at, Kind::Planned, None, text));
        }
        changes.extend(task.started_at.map(|at| {
            let text = format!("{who} started {title} in {name}");
            change(at, Kind::Started, Some(owner), text)
        }));
        changes.extend(task.completed_at.map(|at| {
            let text = format!("{who} completed {title} in {name}");
            change(at, Kind::Completed, Some(owner), text)
        }));
    }
    changes
}
