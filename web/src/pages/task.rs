//! One task: what it is, what can be done with it, and its discussion.

use jiff::SignedDuration;
use maud::{Markup, html};
use slipway_proto::{
    identity::v1::User,
    release::v1::{
        GetTaskRequest, GetTaskResponse, MyTask, Readiness, Recurrence, Task, TaskPriority,
        TaskStatus,
    },
};
use slipway_rpc::error::Fault;

use super::{Page, home::blocked, mine, release::users, thread};
use crate::{
    markdown,
    parts::{Input, area, button, choice, input, meanwhile, moment, release_link, state, user},
    times::{length, read, value, when},
    visit::Visit,
};

/// The priorities: the value of the field, and its name.
pub(crate) const PRIORITIES: [(&str, &str, TaskPriority); 4] = [
    ("LOW", "Low", TaskPriority::Low),
    ("NORMAL", "Normal", TaskPriority::Normal),
    ("HIGH", "High", TaskPriority::High),
    ("URGENT", "Urgent", TaskPriority::Urgent),
];

pub(super) async fn page(visit: &Visit, id: &str) -> Result<Page, Fault> {
    let ((task, readiness), users, thread) =
        tokio::try_join!(get(visit, id), users(visit), thread::first(visit, id))?;
    let mine = mine(task.clone(), readiness);
    let owner = task.assignee.as_ref();
    let is_own = owner.is_some_and(|owner| visit.is_user(&owner.id));
    Page::new(
        task.title.clone(),
        html! {
            nav.crumbs aria-label="Breadcrumb" {
                a href="/releases" { "Releases" } " / " (release_link(&task.release_id, &task.release_name))
            }
            h1 { bdi { (task.title) } }
            div #task data-live="" {
                p.facts {
                    (state(&task)) " "
                    span { "owned by " (user(task.assignee.as_ref())) } " "
                    span { "task " (task.order_index) " of its release" }
                    (priority(&task)) (worked(visit, &task)) (due(visit, &task)) (reminder(&task))
                    @if task.started_at.is_some() {
                        " " span { "started " (when(task.started_at.as_ref(), visit.now)) }
                    }
                    @if task.completed_at.is_some() {
                        " " span { "completed " (when(task.completed_at.as_ref(), visit.now)) }
                    }
                    @if let Some(recurrence) = &task.recurrence {
                        " " span { "recurs: " code { (recurrence.rule) } }
                    }
                    @for tag in &task.tags { " " span.tag { bdi { (tag) } } }
                }
                @if !task.description.is_empty() { div.prose { (markdown::text(&task.description)) } }
                (blocked(visit, &mine))
                (actions(visit, &task, Some(&mine)))
            }
            @if is_own && !visit.is_admin() && task.due_at.is_some() { (remind(visit, &task)) }
            @if visit.is_admin() { (edit(visit, &task, &users)) }
            (thread::section(visit, &task.id, &thread))
        },
    )
}

/// What can be done with a task: start, complete or hand back one's own; hand back any as an admin.
/// A button that will be refused says why beside it, and still works: what it knows may be old.
pub(super) fn actions(visit: &Visit, task: &Task, mine: Option<&MyTask>) -> Markup {
    let owner = task.assignee.as_ref();
    let is_own = owner.is_some_and(|owner| visit.is_user(&owner.id));
    let action = |verb: &str| format!("/ui/tasks/{}/{verb}", task.id);
    let status = task.status();
    let pause = action("pause");
    html! {
        @if is_own && status == TaskStatus::Todo {
            @let blocked = mine.is_some_and(|mine| !mine.can_start);
            @let why = format!("why-{}", task.id);
            (visit.form(&action("start"), "act", &html! {
                button type="submit" .main[!blocked] aria-disabled=[blocked.then_some("true")]
                    aria-describedby=[blocked.then_some(&*why)] { "Start" }
            }))
        }
        @if is_own && status == TaskStatus::InProcess {
            (visit.form(&action("complete"), "act", &button("Complete", "main")))
        }
        @if (is_own || visit.is_admin()) && status == TaskStatus::InProcess {
            details.inline open[visit.is_again(&pause)] {
                summary { "Hand back" }
                (visit.form(&pause, "stack", &html! {
                    (input(&Input {
                        label: "Why, for the others",
                        name: "reason",
                        value: visit.typed(&pause, "reason", ""),
                        ..Input::default()
                    }))
                    (button("Hand the task back", ""))
                }))
            }
        }
    }
}

/// The form that changes a task, for administrators.
fn edit(visit: &Visit, task: &Task, users: &[User]) -> Markup {
    let action = format!("/ui/tasks/{}", task.id);
    let shown = Shown::of(task);
    let now = shown.fields(task);
    let value = |name: &str| {
        let now = now.iter().find(|(_, field, _)| *field == name);
        visit.typed(&action, name, now.map_or("", |(.., now)| now))
    };
    let line = |label, name, required| Input {
        label,
        name,
        value: value(name),
        required,
        ..Input::default()
    };
    let todo = task.status() == TaskStatus::Todo;
    html! {
        datalist #users { @for user in users { option value=(user.username) {} } }
        details.card #edit open[visit.is_again(&action)] {
            summary { "Change the task" }
            (meanwhile(visit, &action, &now))
            (visit.form(&action, "stack", &html! {
                input type="hidden" name="revision" value=(task.revision);
                (input(&line("Title", "title", true)))
                (area("Description", "description", value("description"), 4, false))
                @if todo {
                    div.pair {
                        (input(&Input { list: Some("users"), ..line("Owner", "owner", true) }))
                        (input(&Input { kind: "number", ..line("Place in the order", "order", true) }))
                    }
                } @else {
                    p.hint { "Its owner and its place are fixed since it was started." }
                }
                div.pair {
                    (moment("Due", "due", value("due")))
                    (input(&Input { kind: "number", ..line("Remind the owner, minutes before", "reminder", false) }))
                    (choice("Priority", "priority", PRIORITIES.map(|(value, name, _)| (value, name)), value("priority")))
                }
                (area("Tags, one per line", "tags", value("tags"), 2, false))
                details open[task.recurrence.is_some()] {
                    summary { "Recurrence" }
                    div.pair {
                        (input(&line("Rule, such as FREQ=WEEKLY;BYDAY=MO", "rule", false)))
                        (input(&line("Time zone, such as Europe/Berlin", "zone", false)))
                        (input(&line("Id of the release of the next one, if another", "next", false)))
                    }
                }
                // What is not changed is not sent: another due time alone does not begin another series.
                @for name in ["due", "rule", "zone", "next"] {
                    @let was = now.iter().find(|(_, field, _)| *field == name);
                    input type="hidden" name={ "was_" (name) } value=(was.map_or("", |(.., now)| now));
                }
                (button("Save", "main"))
            }))
            @if todo { (delete(visit, task)) }
        }
    }
}

fn delete(visit: &Visit, task: &Task) -> Markup {
    let action = format!("/ui/tasks/{}/delete", task.id);
    html! {
        details.inline open[visit.is_again(&action)] {
            summary { "Delete the task" }
            (visit.form(&action, "stack", &html! {
                input type="hidden" name="revision" value=(task.revision);
                input type="hidden" name="release" value=(task.release_id);
                p.hint { "Its discussion goes with it." }
                (button("Delete the task", "danger"))
            }))
        }
    }
}

/// The form that changes the reminder, for the owner.
fn remind(visit: &Visit, task: &Task) -> Markup {
    let action = format!("/ui/tasks/{}/reminder", task.id);
    let now = task
        .remind_before_minutes
        .map(|minutes| minutes.to_string());
    let now = now.unwrap_or_default();
    html! {
        details.inline open[visit.is_again(&action)] {
            summary { "Remind me" }
            (meanwhile(visit, &action, &[("Reminder", "reminder", &now)]))
            (visit.form(&action, "stack", &html! {
                input type="hidden" name="revision" value=(task.revision);
                (input(&Input {
                    label: "Minutes before it is due. Empty: no reminder",
                    name: "reminder",
                    kind: "number",
                    value: visit.typed(&action, "reminder", &now),
                    required: false,
                    ..Input::default()
                }))
                (button("Save", ""))
            }))
        }
    }
}

/// The values of a task as its form has them.
struct Shown {
    order: String,
    due: String,
    reminder: String,
    tags: String,
    recurrence: Recurrence,
}

impl Shown {
    fn of(task: &Task) -> Self {
        let minutes = task.remind_before_minutes;
        Self {
            order: task.order_index.to_string(),
            due: read(task.due_at.as_ref()).map(value).unwrap_or_default(),
            reminder: minutes.map_or_else(String::new, |minutes| minutes.to_string()),
            tags: task.tags.join("\n"),
            recurrence: task.recurrence.clone().unwrap_or_default(),
        }
    }

    /// The label, the name and the value of each field.
    fn fields<'a>(&'a self, task: &'a Task) -> [(&'static str, &'static str, &'a str); 11] {
        let owner = task.assignee.as_ref();
        let priority = PRIORITIES.iter().find(|(.., one)| *one == task.priority());
        [
            ("Title", "title", &task.title),
            ("Description", "description", &task.description),
            ("Owner", "owner", owner.map_or("", |owner| &owner.username)),
            ("Place", "order", &self.order),
            ("Due", "due", &self.due),
            ("Reminder", "reminder", &self.reminder),
            (
                "Priority",
                "priority",
                priority.map_or("NORMAL", |(value, ..)| value),
            ),
            ("Tags", "tags", &self.tags),
            ("Rule", "rule", &self.recurrence.rule),
            ("Time zone", "zone", &self.recurrence.time_zone),
            ("Next release", "next", &self.recurrence.release_id),
        ]
    }
}

fn priority(task: &Task) -> Markup {
    let word = match task.priority() {
        TaskPriority::Urgent => "urgent",
        TaskPriority::High => "high priority",
        TaskPriority::Low => "low priority",
        TaskPriority::Normal | TaskPriority::Unspecified => return html! {},
    };
    html! { " " span { (word) } }
}

/// When the owner is reminded of a task, if it has a reminder.
fn reminder(task: &Task) -> Markup {
    let minutes = task.remind_before_minutes;
    let before = minutes.map(|minutes| length(SignedDuration::from_mins(minutes.into())));
    html! { @if let Some(before) = before { " " span { "reminder " (before) " before" } } }
}

/// The time worked on a task so far, if any.
pub(super) fn worked(visit: &Visit, task: &Task) -> Markup {
    let before = SignedDuration::from_millis(task.worked_ms);
    let running = match task.status() {
        TaskStatus::InProcess => read(task.started_at.as_ref()),
        _ => None,
    };
    let running = running.map_or(SignedDuration::ZERO, |start| {
        visit.now.duration_since(start)
    });
    let worked = before.saturating_add(running.max(SignedDuration::ZERO));
    html! { @if worked > SignedDuration::ZERO { " " span { "worked on for " (length(worked)) } } }
}

/// When a task is due, if it is not completed.
pub(super) fn due(visit: &Visit, task: &Task) -> Markup {
    let due = read(task.due_at.as_ref()).filter(|_| task.status() != TaskStatus::Completed);
    html! {
        @if let Some(due) = due {
            " " span.late[due < visit.now] { "due " (when(task.due_at.as_ref(), visit.now)) }
        }
    }
}

async fn get(visit: &Visit, id: &str) -> Result<(Task, Readiness), Fault> {
    let request = visit.request(GetTaskRequest { id: id.to_owned() });
    let answer = visit.services().tasks.clone().get_task(request).await?;
    let GetTaskResponse { task, readiness } = answer.into_inner();
    let task = task.ok_or_else(|| Fault::internal("an answer without a task"))?;
    Ok((task, readiness.unwrap_or_default()))
}
