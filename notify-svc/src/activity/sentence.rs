//! Describes an event of each type in one sentence, and lists the users it concerns.

use slipway_bus::{Actor, Event};
use slipway_proto::events::{EventData, Role, SeriesEnd};
use slipway_runtime::text::{clean_line, is_blank, shortened};
use uuid::Uuid;

/// Characters of a reason in a sentence.
const LONGEST_REASON: usize = 200;

/// An event as a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Narration {
    pub(super) summary: String,
    pub(super) concerns: Vec<Uuid>,
}

/// The subject of the sentence.
pub(super) struct Who<'a> {
    id: Option<Uuid>,
    name: &'a str,
}

impl<'a> Who<'a> {
    pub(super) fn of(actor: &'a Actor) -> Self {
        match actor {
            Actor::User { id, username } => Self {
                id: Some(*id),
                // A publisher may omit the name.
                name: if is_blank(username) {
                    "Somebody"
                } else {
                    username
                },
            },
            Actor::System => Self {
                id: None,
                name: "Slipway",
            },
        }
    }
}

/// Describes an event. The result is cleaned, so that control characters in names and titles cannot
/// change how the rest of the sentence is displayed.
///
/// # Errors
/// If the payload violates the type's schema.
pub(super) fn tell(event: &Event, who: &Who<'_>) -> Result<Narration, serde_json::Error> {
    let (summary, concerns) = sentence(&event.read()?, who).unwrap_or_else(|| {
        let generic = format!("{} caused an event of type {}", who.name, event.event_type);
        (generic, Vec::new())
    });
    Ok(Narration {
        summary: clean_line(&summary),
        concerns,
    })
}

/// The sentence and the users it concerns; `None` if only the name of the type can be shown.
fn sentence(data: &EventData, who: &Who<'_>) -> Option<(String, Vec<Uuid>)> {
    use EventData as E;
    let by = who.name;
    Some(match data {
        E::UserRegistered(e) => {
            let role = match e.role {
                Role::Developer => "a developer",
                Role::Admin => "an admin",
            };
            let sentence = match who.id {
                Some(id) if id != e.user_id => format!("{by} registered {} as {role}", e.username),
                _ => format!("{} joined as {role}", e.username),
            };
            (sentence, vec![e.user_id])
        }
        E::ReleaseCreated(e) => {
            let tasks = tasks(e.total_tasks);
            let sentence = format!("{by} planned {} with {tasks}", e.release_name);
            (sentence, vec![e.created_by.id])
        }
        E::ReleaseReady(e) => {
            let name = &e.release_name;
            let sentence = match e.total_tasks {
                1 => format!("The only task of {name} is completed"),
                count => format!("All {count} tasks of {name} are completed"),
            };
            (sentence, vec![e.created_by.id])
        }
        E::ReleaseCompleted(e) => {
            let tasks = tasks(e.total_tasks);
            let sentence = format!("{by} completed {} with {tasks}", e.release_name);
            (sentence, Vec::new())
        }
        E::ReleaseReopened(e) => {
            let sentence = format!("{by} reopened {} for a hotfix", e.release_name);
            (sentence, Vec::new())
        }
        E::ReleaseUpdated(e) => {
            let sentence = format!("{by} changed {} of {}", fields(&e.changed), e.release_name);
            (sentence, vec![e.created_by.id])
        }
        E::ReleaseDeleted(e) => {
            let tasks = tasks(e.total_tasks);
            let sentence = format!("{by} deleted {} with {tasks}", e.release_name);
            (sentence, vec![e.created_by.id])
        }
        E::TaskUpdated(e) => {
            let task = &e.task;
            let sentence = format!(
                "{by} changed {} of “{}” in {}",
                fields(&e.changed),
                task.title,
                task.release_name
            );
            let previous = e.previous_assignee.iter().map(|user| user.id);
            let concerns = [task.assignee.id].into_iter().chain(previous);
            (sentence, concerns.collect())
        }
        E::TaskDeleted(e) => {
            let task = &e.task;
            let sentence = format!(
                "{by} deleted “{}” of {} from {}",
                task.title, task.assignee.username, task.release_name
            );
            (sentence, vec![task.assignee.id])
        }
        E::TaskPaused(e) => {
            let task = &e.task;
            let reason = shortened(&e.reason, LONGEST_REASON);
            let sentence = format!(
                "{by} handed back “{}” in {}: {reason}",
                task.title, task.release_name
            );
            (sentence, vec![task.assignee.id, e.planned_by.id])
        }
        E::TaskCreated(e) => {
            let task = &e.task;
            let hotfix = if task.hotfix { "the hotfix " } else { "" };
            let sentence = format!(
                "{by} added {hotfix}“{}” for {} to {}",
                task.title, task.assignee.username, task.release_name
            );
            (sentence, vec![task.assignee.id])
        }
        E::TaskAssigned(e) => {
            let sentence = format!(
                "{by} assigned “{}” in {} to {}",
                e.task_title, e.release_name, e.developer_name
            );
            (sentence, vec![e.developer_id])
        }
        E::TaskReady(e) => {
            let task = &e.task;
            let sentence = format!(
                "It is the turn of {}: “{}” in {} can start",
                task.assignee.username, task.title, task.release_name
            );
            (sentence, vec![task.assignee.id])
        }
        E::TaskStarted(e) => {
            let task = &e.task;
            let sentence = format!("{by} started “{}” in {}", task.title, task.release_name);
            (sentence, vec![task.assignee.id])
        }
        E::TaskCompleted(e) => {
            let task = &e.task;
            let completed = format!("{by} completed “{}” in {}", task.title, task.release_name);
            match &e.next_task {
                None => (completed, vec![task.assignee.id]),
                Some(next) => {
                    let (title, owner) = (&next.title, &next.assignee);
                    let sentence = format!("{completed}; next is “{title}” by {}", owner.username);
                    (sentence, vec![task.assignee.id, owner.id])
                }
            }
        }
        E::HotfixTaskAdded(e) => {
            let sentence = format!(
                "{by} needs the hotfix “{}” from {} in {}",
                e.task_title, e.developer_name, e.release_name
            );
            (sentence, vec![e.developer_id])
        }
        E::StaleTaskDetected(e) => {
            let duration = match e.hours {
                0 => "less than an hour".to_owned(),
                1 => "an hour".to_owned(),
                hours => format!("{hours} hours"),
            };
            let sentence = format!(
                "“{}” in {} has been in process with {} for {duration}",
                e.task_title, e.release_name, e.developer_name
            );
            (sentence, vec![e.developer_id])
        }
        E::TaskRecurrenceEnded(e) => {
            let task = &e.task;
            let why = match e.reason {
                SeriesEnd::RuleExhausted => "its rule has no further date",
                SeriesEnd::ReleaseCompleted => "no open release takes the next one",
                SeriesEnd::ReleaseDeleted => "the release for the next one is deleted",
                SeriesEnd::OwnerGone => "its owner is gone",
            };
            let sentence = format!(
                "“{}” in {} was the last of its series: {why}",
                task.title, task.release_name
            );
            (sentence, vec![task.assignee.id, e.planned_by.id])
        }
        E::TaskReminderDue(e) => {
            let sentence = format!(
                "{by} reminded {} of “{}” in {}",
                e.developer_name, e.task_title, e.release_name
            );
            (sentence, vec![e.developer_id])
        }
        E::CommentPosted(e) => {
            let task = &e.task;
            let sentence = format!(
                "{by} commented on “{}” in {}",
                task.title, task.release_name
            );
            let mentioned = e.mentions.iter().map(|user| user.id);
            let concerns = [task.assignee.id].into_iter().chain(mentioned);
            (sentence, concerns.collect())
        }
        E::CommentReplied(e) => {
            let (task, parent) = (&e.task, &e.parent_author);
            let to = if who.id == Some(parent.id) {
                "their own comment"
            } else {
                &parent.username
            };
            let sentence = format!(
                "{by} replied to {to} on “{}” in {}",
                task.title, task.release_name
            );
            let mentioned = e.mentions.iter().map(|user| user.id);
            let concerns = [parent.id, task.assignee.id].into_iter().chain(mentioned);
            (sentence, concerns.collect())
        }
        E::CommentEdited(e) => {
            let task = &e.task;
            let sentence = format!(
                "{by} edited a comment on “{}” in {}",
                task.title, task.release_name
            );
            (sentence, vec![task.assignee.id, e.author.id])
        }
        E::CommentDeleted(e) => {
            let task = &e.task;
            let whose = match who.id == Some(e.author.id) {
                true => "their comment".to_owned(),
                false => format!("a comment of {}", e.author.username),
            };
            let sentence = format!(
                "{by} deleted {whose} on “{}” in {}",
                task.title, task.release_name
            );
            (sentence, vec![task.assignee.id, e.author.id])
        }
        // Published on topics that are not in the feed.
        E::ChatAnswered(_)
        | E::NotificationRequested(_)
        | E::NotificationSent(_)
        | E::NotificationFailed(_)
        | E::SystemError(_)
        | E::TemplateUpdated(_)
        | E::TemplateDeleted(_)
        | E::DeadLetterReplayed(_)
        | E::SessionEnded(_)
        | E::TokenCreated(_)
        | E::TokenRevoked(_)
        | E::PasswordChanged(_)
        | E::PasswordResetRequested(_)
        | E::UserInvited(_)
        | E::UserDisabled(_)
        | E::UserEnabled(_)
        | E::UserRoleChanged(_) => return None,
        // A type of a newer version.
        E::Unknown => return None,
    })
}

/// Changed fields, in words. A newer version may have other fields.
fn fields(changed: &[String]) -> String {
    let word = |name: &String| match name.as_str() {
        "assignee" => "the owner".to_owned(),
        "orderIndex" => "the place".to_owned(),
        "dueAt" => "the due time".to_owned(),
        "remindBeforeMinutes" => "the reminder".to_owned(),
        name => format!("the {name}"),
    };
    let words: Vec<_> = changed.iter().map(word).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

fn tasks(count: u32) -> String {
    match count {
        1 => "1 task".to_owned(),
        count => format!("{count} tasks"),
    }
}

#[cfg(test)]
mod tests;
