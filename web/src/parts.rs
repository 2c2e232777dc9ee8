//! Components that several pages use.

use maud::{Markup, html};
use serde_json::Value;
use slipway_proto::{
    common::v1::UserRef,
    release::v1::{Progress, Task, TaskStatus},
};
use slipway_rpc::error::Fault;

use crate::visit::Visit;

/// A button of a form.
pub(crate) fn button(text: &str, class: &str) -> Markup {
    html! { button.(class) type="submit" { (text) } }
}

/// What a form has done.
pub(crate) fn news(text: &str) -> Markup {
    html! { section.card.now role="status" { p { (text) } } }
}

/// A username. Names may be of any script, and must not turn the text around them.
pub(crate) fn person(username: &str) -> Markup {
    html! { bdi.person { (username) } }
}

/// The user of a service's answer.
pub(crate) fn user(user: Option<&UserRef>) -> Markup {
    match user {
        Some(user) => person(&user.username),
        None => html! { span.person { "Slipway" } },
    }
}

/// A link to a task.
pub(crate) fn task_link(id: &str, title: &str) -> Markup {
    html! { a href={ "/tasks/" (id) } { bdi { (title) } } }
}

/// A link to a release.
pub(crate) fn release_link(id: &str, name: &str) -> Markup {
    html! { a href={ "/releases/" (id) } { bdi { (name) } } }
}

/// A link that shows more of a list.
pub(crate) fn more(visit: &Visit, token: &str, text: &str) -> Markup {
    html! {
        @if !token.is_empty() {
            p.more { a.button href={ (visit.path) (visit.query.with("cursor", token)) } { (text) } }
        }
    }
}

/// The state of a task, as a mark and a word.
pub(crate) fn state(task: &Task) -> Markup {
    let (class, word) = match task.status() {
        TaskStatus::Completed => ("done", "Completed"),
        TaskStatus::InProcess => ("doing", "In process"),
        TaskStatus::Todo | TaskStatus::Unspecified => ("todo", "To do"),
    };
    html! {
        span.state.(class) { (word) }
        @if task.hotfix { " " span.state.hotfix { "Hotfix" } }
    }
}

/// How many tasks of a release are completed.
pub(crate) fn progress(progress: Option<&Progress>) -> Markup {
    let (done, all) = progress.map_or((0, 0), |progress| (progress.completed, progress.total));
    html! {
        span.progress {
            progress max=(all.max(1)) value=(done) aria-hidden="true" {}
            span { (done) " of " (all) " completed" }
        }
    }
}

/// A line of text to type.
pub(crate) struct Input<'a> {
    pub(crate) label: &'a str,
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) autocomplete: &'a str,
    pub(crate) list: Option<&'a str>,
    pub(crate) required: bool,
}

impl Default for Input<'_> {
    fn default() -> Self {
        Self {
            label: "",
            name: "",
            value: "",
            kind: "text",
            autocomplete: "off",
            list: None,
            required: true,
        }
    }
}

/// The field for a line.
pub(crate) fn input(input: &Input<'_>) -> Markup {
    html! {
        label.field {
            span { (input.label) }
            input type=(input.kind) name=(input.name) value=(input.value) dir="auto"
                autocomplete=(input.autocomplete) list=[input.list] required[input.required];
        }
    }
}

/// The field for lines.
pub(crate) fn area(label: &str, name: &str, value: &str, rows: u8, required: bool) -> Markup {
    html! {
        label.field {
            span { (label) }
            // A parser drops the first line break.
            textarea name=(name) rows=(rows) dir="auto" required[required] { "\n" (value) }
        }
    }
}

/// Why a form was refused, and what stands in the way.
pub(crate) fn refused(fault: Option<&Fault>) -> Markup {
    let Some(fault) = fault.map(told) else {
        return html! {};
    };
    let blockers = ["blockedBy", "activeTask", "startedTask"];
    let blocker = blockers.iter().find_map(|name| fault.facts.get(*name));
    let remaining = fault.facts.get("remainingTasks").and_then(Value::as_array);
    let tasks: Vec<_> = blocker
        .into_iter()
        .chain(remaining.into_iter().flatten())
        .collect();
    html! {
        section.card.refusal role="alert" {
            h2 { (fault.kind.title()) }
            p dir="auto" { (fault.detail) }
            @if fault.fields.len() > 1 {
                ul { @for error in &fault.fields { li { (error.field) " " (error.message) } } }
            }
            @if !tasks.is_empty() {
                ul { @for task in tasks { li { (named(task)) } } }
            }
        }
    }
}

/// A task in a fact, with its owner.
fn named(task: &Value) -> Markup {
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    let owner = text(&task["assignee"]["username"]);
    html! {
        (task_link(&text(&task["id"]), &text(&task["title"]))) ", owned by " (person(&owner))
    }
}

/// A fault with its fields under the names that pages have for them.
pub(crate) fn told(fault: &Fault) -> Fault {
    fault.clone().with_names(label)
}

/// The name of a field at this path of a service's request, at the beginning of a sentence.
fn label(path: &str) -> String {
    let row = path
        .strip_prefix("tasks[")
        .and_then(|rest| rest.split_once(']'));
    let (row, field) = match row.and_then(|(row, rest)| Some((row.parse::<usize>().ok()?, rest))) {
        Some((row, rest)) => (
            format!("Row {}: the ", row + 1),
            rest.trim_start_matches('.'),
        ),
        None => ("The ".to_owned(), path.rsplit('.').next().unwrap_or(path)),
    };
    let name = match field {
        "assignee_username" | "assignee_id" | "assignee" => "owner",
        "login" => "name",
        "content" => "text",
        "due_at" => "due time",
        other => return format!("{row}{}", other.replace('_', " ")),
    };
    row + name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_as_on_the_page() {
        for (path, name) in [
            ("name", "The name"),
            ("task.assignee_username", "The owner"),
            ("tasks[2].assignee_username", "Row 3: the owner"),
            ("tasks[0].title", "Row 1: the title"),
            ("current_password", "The current password"),
        ] {
            assert_eq!(label(path), name);
        }
    }
}
