//! Components that several pages use.

use maud::{Markup, html};
use serde_json::Value;
use slipway_proto::{
    common::v1::UserRef,
    release::v1::{Progress, Task, TaskStatus},
};
use slipway_rpc::error::Fault;

use crate::{
    times::{self, typed},
    visit::Visit,
};

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

/// The field for one of several values: the value of each option, and its name.
pub(crate) fn choice(
    label: &str,
    name: &str,
    options: impl IntoIterator<Item = (&'static str, &'static str)>,
    chosen: &str,
) -> Markup {
    let options: Vec<_> = options.into_iter().collect();
    let is_known = options.iter().any(|(value, _)| *value == chosen);
    html! {
        label.field {
            span { (label) }
            select name=(name) {
                @for (value, text) in options { option value=(value) selected[value == chosen] { (text) } }
                // An address can have any value.
                @if !is_known { option value=(chosen) selected { (chosen) } }
            }
        }
    }
}

/// The field for a time. Without scripts it is in UTC.
pub(crate) fn moment(label: &str, name: &str, value: &str) -> Markup {
    let value = typed(value).map_or_else(|| value.to_owned(), times::value);
    html! {
        label.field {
            span { (label) ", " span data-zone="" { "UTC" } }
            input type="datetime-local" name=(name) value=(value) step="any" data-utc="";
        }
    }
}

/// A link that leads up from a page.
pub(crate) fn up(to: &str, text: &str) -> Markup {
    html! { nav.crumbs aria-label="Breadcrumb" { a href=(to) { (text) } } }
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
            h2 { (title(&fault)) }
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

/// What kind of refusal it is.
pub(crate) fn title(fault: &Fault) -> &'static str {
    match is_conflict(fault) {
        true => "Changed by somebody meanwhile",
        false => fault.kind.title(),
    }
}

/// Whether a form was refused because its thing is not as the form shows it any more.
pub(crate) fn is_conflict(fault: &Fault) -> bool {
    fault.code.ends_with("_CHANGED")
}

/// What is there now, above a form that was refused because somebody changed it meanwhile. The form
/// has what was typed; `now` has the label, the name and the present value of its fields.
pub(crate) fn meanwhile(visit: &Visit, action: &str, now: &[(&str, &str, &str)]) -> Markup {
    if !visit.is_again(action) || !visit.fault().is_some_and(is_conflict) {
        return html! {};
    }
    let other = now
        .iter()
        .filter(|(_, name, now)| visit.typed(action, name, now) != *now);
    html! {
        div.card {
            p { "Below is what you typed, not saved yet. It differs from what is there now:" }
            dl {
                @for (label, _, now) in other {
                    dt { (label) }
                    dd.prose.plain dir="auto" { @if now.is_empty() { "nothing" } @else { (now) } }
                }
            }
            p.hint { "Saving puts what you typed in its place." }
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

/// A fault as pages tell it: with the names that they have for fields, and without what only
/// programs know of.
pub(crate) fn told(fault: &Fault) -> Fault {
    let mut told = fault.clone().with_names(label);
    if fault.code == "IDEMPOTENCY_KEY_REUSED" {
        told.detail =
            "This form was sent before, with something else in it. That counted, and this was \
                       not done. To do it too, open the page again and fill in the form once more."
                .to_owned();
    }
    told
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
        "remind_before_minutes" => "reminder",
        "edited_payload" => "payload",
        "sample_json" => "sample",
        "event_type" => "type",
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
