//! One release: its tasks in order, and what an admin does with it.

use maud::{Markup, html};
use slipway_proto::{
    identity::v1::{ListUsersRequest, User},
    release::v1::{
        GetReleaseRequest, GetReleaseResponse, Readiness, Release, ReleaseStatus, Task, TaskStatus,
    },
};
use slipway_rpc::error::{Fault, Kind};

use super::{
    Page,
    home::blocked,
    mine,
    task::{actions, due, worked},
};
use crate::{
    markdown,
    parts::{Input, area, button, input, meanwhile, progress, state, task_link, user},
    times::when,
    visit::Visit,
};

pub(super) async fn page(visit: &Visit, id: &str) -> Result<Page, Fault> {
    let ((release, readiness), users) = tokio::try_join!(get(visit, id), users(visit))?;
    Page::new(
        release.name.clone(),
        html! {
            nav.crumbs aria-label="Breadcrumb" { a href="/releases" { "Releases" } }
            h1 {
                bdi { (release.name) }
                @if !release.version.is_empty() { " " small { bdi { (release.version) } } }
            }
            div #release data-live="" {
                p.facts {
                    @if release.status() == ReleaseStatus::Completed {
                        span.state.done { "Completed" } " "
                        (when(release.completed_at.as_ref(), visit.now))
                    } @else {
                        span.state.doing { "Open" }
                    }
                    " " (progress(release.progress.as_ref()))
                    @if release.reopened_count > 0 {
                        " " span.state.hotfix { "Reopened " (release.reopened_count) "×" }
                    }
                    " " span { "planned by " (user(release.created_by.as_ref())) " " (when(release.created_at.as_ref(), visit.now)) }
                }
                @if !release.description.is_empty() { div.prose { (markdown::text(&release.description)) } }
                @if release.tasks.is_empty() { p.empty { "It has no task yet." } }
                ol.rail {
                    @for (task, readiness) in release.tasks.iter().zip(&readiness) {
                        (step(visit, task, readiness))
                    }
                }
            }
            p { a href={ "/activity?releaseId=" (release.id) } { "What happened in this release" } }
            @if visit.is_admin() { (admin(visit, &release, &users)) }
        },
    )
}

fn step(visit: &Visit, task: &Task, readiness: &Readiness) -> Markup {
    let class = match task.status() {
        TaskStatus::Completed => "done",
        TaskStatus::InProcess => "doing",
        TaskStatus::Todo | TaskStatus::Unspecified => "todo",
    };
    let is_own = task
        .assignee
        .as_ref()
        .is_some_and(|owner| visit.is_user(&owner.id));
    // What blocks the tasks of others is in the line above them.
    let mine = is_own.then(|| mine(task.clone(), readiness.clone()));
    html! {
        li.(class) {
            span.index aria-hidden="true" { (task.order_index) }
            div.step {
                h2.title { (task_link(&task.id, &task.title)) }
                p.facts {
                    (state(task)) " " (user(task.assignee.as_ref()))
                    @if task.status() == TaskStatus::InProcess {
                        " " span { "started " (when(task.started_at.as_ref(), visit.now)) }
                    }
                    @if task.status() == TaskStatus::Completed {
                        " " span { "completed " (when(task.completed_at.as_ref(), visit.now)) }
                    }
                    (worked(visit, task)) (due(visit, task))
                }
                @if let Some(mine) = &mine { (blocked(visit, mine)) }
                (actions(visit, task, mine.as_ref()))
                @if visit.is_admin() { a.act.edit href={ "/tasks/" (task.id) "#edit" } { "Change" span.sr { " " (task.title) } } }
            }
        }
    }
}

fn admin(visit: &Visit, release: &Release, users: &[User]) -> Markup {
    let completed = release.status() == ReleaseStatus::Completed;
    let add = format!("/ui/releases/{}/tasks", release.id);
    let value = |name: &str| visit.typed(&add, name, "");
    let complete = format!("/ui/releases/{}/complete", release.id);
    html! {
        datalist #users { @for user in users { option value=(user.username) {} } }
        details.card open[visit.is_again(&add)] {
            summary { @if completed { "Add a hotfix" } @else { "Add a task" } }
            @if completed {
                p.why { "This release is completed. A new task is a hotfix: it reopens the release, and its owner is told at once." }
            }
            (visit.form(&add, "stack", &html! {
                (visit.once(&add))
                div.pair {
                    (input(&Input { label: "Title", name: "title", value: value("title"), ..Input::default() }))
                    (input(&Input {
                        label: "Owner",
                        name: "owner",
                        value: value("owner"),
                        list: Some("users"),
                        ..Input::default()
                    }))
                }
                (area("Description", "description", value("description"), 3, false))
                @let text = if completed { "Add the hotfix and reopen the release" } else { "Add the task" };
                (button(text, "main"))
            }))
        }
        @if !completed {
            (visit.form(&complete, "", &button("Complete the release", "")))
        }
        (edit(visit, release))
    }
}

/// The forms that change the release itself, and delete it while nothing of it was started.
fn edit(visit: &Visit, release: &Release) -> Markup {
    let action = format!("/ui/releases/{}", release.id);
    let delete = format!("{action}/delete");
    let now = [
        ("Name", "name", &*release.name),
        ("Version", "version", &*release.version),
        ("Description", "description", &*release.description),
    ];
    let [name, version, description] = now.map(|(_, name, now)| visit.typed(&action, name, now));
    let was_started = release
        .tasks
        .iter()
        .any(|task| task.status() != TaskStatus::Todo);
    html! {
        details.card open[visit.is_again(&action)] {
            summary { "Change the release" }
            (meanwhile(visit, &action, &now))
            (visit.form(&action, "stack", &html! {
                input type="hidden" name="revision" value=(release.revision);
                div.pair {
                    (input(&Input { label: "Name", name: "name", value: name, ..Input::default() }))
                    (input(&Input {
                        label: "Version, if it has one",
                        name: "version",
                        value: version,
                        required: false,
                        ..Input::default()
                    }))
                }
                (area("Description", "description", description, 4, false))
                (button("Save", "main"))
            }))
        }
        @if !was_started {
            details.inline open[visit.is_again(&delete)] {
                summary { "Delete the release" }
                (visit.form(&delete, "stack", &html! {
                    input type="hidden" name="revision" value=(release.revision);
                    p.hint { "Its tasks and their discussions go with it." }
                    (button("Delete the release with its tasks", "danger"))
                }))
            }
        }
    }
}

/// A release with its tasks, and which of them the visitor could start.
async fn get(visit: &Visit, id: &str) -> Result<(Release, Vec<Readiness>), Fault> {
    let request = visit.request(GetReleaseRequest { id: id.to_owned() });
    let answer = visit
        .services()
        .releases
        .clone()
        .get_release(request)
        .await?;
    let GetReleaseResponse { release, readiness } = answer.into_inner();
    let release = release.ok_or_else(|| Fault::internal("an answer without a release"))?;
    Ok((release, readiness))
}

/// The users that an admin can choose from. Without them a name can be typed.
pub(super) async fn users(visit: &Visit) -> Result<Vec<User>, Fault> {
    if !visit.is_admin() {
        return Ok(Vec::new());
    }
    let request = visit.request(ListUsersRequest {
        page_size: 200,
        ..ListUsersRequest::default()
    });
    let answer = visit.services().identity.clone().list_users(request).await;
    match answer.map_err(Fault::from) {
        Ok(answer) => Ok(answer.into_inner().users),
        Err(fault) if fault.kind == Kind::Unauthenticated => Err(fault),
        Err(_) => Ok(Vec::new()),
    }
}
