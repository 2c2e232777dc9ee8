//! My work: the task that the visitor is on, what is next, and what blocks the rest.

use maud::{Markup, html};
use slipway_proto::release::v1::{ListReleasesRequest, MyTask, Release, ReleaseStatus, TaskStatus};
use slipway_rpc::error::Fault;

use super::{
    Page, my_tasks,
    task::{actions, due, worked},
};
use crate::{
    parts::{progress, release_link, state, task_link, user},
    visit::Visit,
};

/// The code of what blocks a task while its owner works on another one.
const BUSY: &str = "DEVELOPER_BUSY";

/// Releases shown at most.
const RELEASES: i32 = 8;

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let (doing, todo, releases) = tokio::try_join!(
        my_tasks(visit, TaskStatus::InProcess),
        my_tasks(visit, TaskStatus::Todo),
        open_releases(visit),
    )?;
    let code = |mine: &MyTask| mine.blocked_by.as_ref().map(|blocker| blocker.code.clone());
    let (next, rest): (Vec<_>, Vec<_>) = todo
        .iter()
        .partition(|mine| mine.can_start || code(mine).as_deref() == Some(BUSY));
    let nothing = doing.is_empty() && todo.is_empty();
    Page::new(
        "My work",
        html! {
            h1 { "My work" }
            div #work data-live="" {
                @if nothing { (nothing_to_do(visit, &releases)) }
                @for mine in &doing {
                    section.card.now aria-label="In process" {
                        p.eyebrow { "You are working on" }
                        (row(visit, mine, "h2"))
                    }
                }
                @if !next.is_empty() {
                    section {
                        h2 { @if doing.is_empty() { "You can start" } @else { "Next" } }
                        ul.list { @for mine in next { li.card { (row(visit, mine, "h3")) } } }
                    }
                }
                @if !rest.is_empty() {
                    section {
                        h2 { "Later" }
                        ul.list { @for mine in rest { li.card { (row(visit, mine, "h3")) } } }
                    }
                }
                @if !releases.is_empty() {
                    section {
                        h2 { "Open releases" }
                        ul.list {
                            @for release in &releases {
                                li.card.line {
                                    (release_link(&release.id, &release.name))
                                    (progress(release.progress.as_ref()))
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// What to do first.
fn nothing_to_do(visit: &Visit, releases: &[Release]) -> Markup {
    html! {
        section.card {
            @if !visit.is_admin() {
                p { "You have no task to do. When an admin gives you one, it appears here." }
            } @else if releases.is_empty() {
                h2 { "Begin with a release" }
                p {
                    "A release is an ordered list of tasks, and each task is owned by one developer. "
                    "Developers create their own accounts at “Create an account” on the sign-in page."
                }
                p { a.button.main href="/releases?plan=1" { "Plan the first release" } }
            } @else {
                p { "You have no task to do yourself. " a href="/releases" { "See how the releases stand" } "." }
            }
        }
    }
}

fn row(visit: &Visit, mine: &MyTask, heading: &str) -> Markup {
    let Some(task) = &mine.task else {
        return html! {};
    };
    let title = task_link(&task.id, &task.title);
    html! {
        div.row {
            div {
                @match heading {
                    "h2" => h2.title { (title) },
                    _ => h3.title { (title) },
                }
                p.facts {
                    (state(task)) " "
                    span { "in " (release_link(&task.release_id, &task.release_name)) }
                    (worked(visit, task)) (due(visit, task))
                }
                (blocked(visit, mine))
            }
            div.does { (actions(visit, task, Some(mine))) }
        }
    }
}

/// What blocks a task, and who.
pub(super) fn blocked(visit: &Visit, mine: &MyTask) -> Markup {
    let blocker = mine.blocked_by.as_ref();
    let blocker = blocker.and_then(|blocker| Some((&blocker.code, blocker.task.as_ref()?)));
    let Some((code, task)) = blocker else {
        return html! {};
    };
    let id = mine.task.as_ref().map_or("", |mine| &mine.id);
    html! {
        p.why #{ "why-" (id) } {
            @if code == BUSY {
                "Complete " (task_link(&task.id, &task.title)) " first: you are working on it."
            } @else {
                "Waits for " (task_link(&task.id, &task.title)) ", "
                @if task.assignee.as_ref().is_some_and(|owner| visit.is_user(&owner.id)) {
                    "which is yours."
                } @else {
                    "owned by " (user(task.assignee.as_ref())) "."
                }
            }
        }
    }
}

async fn open_releases(visit: &Visit) -> Result<Vec<Release>, Fault> {
    let request = visit.request(ListReleasesRequest {
        status: ReleaseStatus::Open.into(),
        page_size: RELEASES,
        ..ListReleasesRequest::default()
    });
    let answer = visit
        .services()
        .releases
        .clone()
        .list_releases(request)
        .await?;
    Ok(answer.into_inner().releases)
}
