//! One task: what it is, what can be done with it, and its discussion.

use jiff::SignedDuration;
use maud::{Markup, html};
use slipway_proto::{
    identity::v1::User,
    release::v1::{
        GetTaskRequest, GetTaskResponse, MyTask, Readiness, Task, TaskPriority, TaskStatus,
    },
};
use slipway_rpc::error::Fault;

use super::{Page, home::blocked, mine, release::users, thread};
use crate::{
    parts::{Input, area, button, input, release_link, state, user},
    times::{length, read, when},
    visit::Visit,
};

pub(super) async fn page(visit: &Visit, id: &str) -> Result<Page, Fault> {
    let ((task, readiness), users, thread) =
        tokio::try_join!(get(visit, id), users(visit), thread::first(visit, id))?;
    let mine = mine(task.clone(), readiness);
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
                    (priority(&task)) (worked(visit, &task)) (due(visit, &task))
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
                @if !task.description.is_empty() { p.prose dir="auto" { (task.description) } }
                (blocked(visit, &mine))
                (actions(visit, &task, Some(&mine)))
            }
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

fn edit(visit: &Visit, task: &Task, users: &[User]) -> Markup {
    let action = format!("/ui/tasks/{}", task.id);
    let delete = format!("/ui/tasks/{}/delete", task.id);
    let order = task.order_index.to_string();
    let owner = task.assignee.as_ref().map_or("", |owner| &owner.username);
    let value = |name: &str, now| visit.typed(&action, name, now);
    let todo = task.status() == TaskStatus::Todo;
    html! {
        datalist #users { @for user in users { option value=(user.username) {} } }
        details.card open[visit.is_again(&action)] {
            summary { "Change the task" }
            (visit.form(&action, "stack", &html! {
                input type="hidden" name="revision" value=(task.revision);
                (input(&Input { label: "Title", name: "title", value: value("title", &task.title), ..Input::default() }))
                (area("Description", "description", value("description", &task.description), 4, false))
                @if todo {
                    div.pair {
                        (input(&Input {
                            label: "Owner",
                            name: "owner",
                            value: value("owner", owner),
                            list: Some("users"),
                            ..Input::default()
                        }))
                        (input(&Input {
                            label: "Place in the order",
                            name: "order",
                            kind: "number",
                            value: value("order", &order),
                            ..Input::default()
                        }))
                    }
                } @else {
                    p.hint { "Its owner and its place are fixed since it was started." }
                }
                (button("Save", "main"))
            }))
            @if todo {
                (visit.form(&delete, "act", &html! {
                    input type="hidden" name="release" value=(task.release_id);
                    (button("Delete the task", "danger"))
                }))
            }
        }
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
