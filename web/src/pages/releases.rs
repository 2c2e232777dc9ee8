//! The list of releases, and the form that plans one.

use std::collections::HashMap;

use maud::{Markup, html};
use slipway_proto::release::v1::{
    ListReleasesRequest, ListTasksRequest, Release, ReleaseStatus, Task, TaskStatus,
};
use slipway_rpc::error::Fault;

use super::Page;
use crate::{
    parts::{Input, area, button, input, more, progress, release_link, task_link, user},
    times::when,
    visit::Visit,
};

const PLAN: &str = "/ui/releases";

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let status = match visit.query.get("status") {
        "completed" => ReleaseStatus::Completed,
        _ => ReleaseStatus::Open,
    };
    let request = visit.request(ListReleasesRequest {
        status: status.into(),
        page_size: 50,
        page_token: visit.query.get("cursor").to_owned(),
    });
    let releases = async {
        let answer = visit
            .services()
            .releases
            .clone()
            .list_releases(request)
            .await;
        Ok(answer?.into_inner())
    };
    let (releases, working) = tokio::try_join!(releases, in_process(visit))?;
    let tab = |to: &str, of: ReleaseStatus, text: &str| {
        html! { a href=(to) aria-current=[(status == of).then_some("page")] { (text) } }
    };
    Page::new(
        "Releases",
        html! {
            h1 { "Releases" }
            @if visit.is_admin() { (plan(visit)) }
            nav.tabs aria-label="Which releases" {
                (tab("/releases", ReleaseStatus::Open, "Open"))
                (tab("/releases?status=completed", ReleaseStatus::Completed, "Completed"))
            }
            div #releases data-live="" {
                @if releases.releases.is_empty() {
                    p.empty { "There are none." }
                }
                ul.list {
                    @for release in &releases.releases {
                        li.card { (row(visit, release, working.get(&release.id))) }
                    }
                }
                (more(visit, &releases.next_page_token, "Older releases"))
            }
        },
    )
}

fn row(visit: &Visit, release: &Release, working: Option<&Vec<Task>>) -> Markup {
    html! {
        h2.title {
            (release_link(&release.id, &release.name))
            @if !release.version.is_empty() { " " small { bdi { (release.version) } } }
        }
        p.facts {
            (progress(release.progress.as_ref())) " "
            @if release.status() == ReleaseStatus::Completed {
                span { "completed " (when(release.completed_at.as_ref(), visit.now)) }
            } @else {
                span { "planned " (when(release.created_at.as_ref(), visit.now)) }
            }
            @if release.reopened_count > 0 {
                " " span.state.hotfix { "Reopened " (release.reopened_count) "×" }
            }
        }
        @for task in working.into_iter().flatten() {
            p.why {
                (user(task.assignee.as_ref())) " is on " (task_link(&task.id, &task.title))
                ", since " (when(task.started_at.as_ref(), visit.now))
            }
        }
    }
}

/// The tasks in process, by release.
async fn in_process(visit: &Visit) -> Result<HashMap<String, Vec<Task>>, Fault> {
    let request = visit.request(ListTasksRequest {
        status: TaskStatus::InProcess.into(),
        page_size: 200,
        ..ListTasksRequest::default()
    });
    let answer = visit.services().tasks.clone().list_tasks(request).await?;
    let mut by_release: HashMap<String, Vec<Task>> = HashMap::new();
    for task in answer.into_inner().tasks {
        by_release
            .entry(task.release_id.clone())
            .or_default()
            .push(task);
    }
    Ok(by_release)
}

fn plan(visit: &Visit) -> Markup {
    let open = visit.is_again(PLAN) || !visit.query.get("plan").is_empty();
    let value = |name: &str| visit.typed(PLAN, name, "");
    html! {
        details.card open[open] {
            summary { "Plan a release" }
            (visit.form(PLAN, "stack", &html! {
                (visit.once(PLAN))
                div.pair {
                    (input(&Input { label: "Name", name: "name", value: value("name"), ..Input::default() }))
                    (input(&Input {
                        label: "Version, if it has one",
                        name: "version",
                        value: value("version"),
                        required: false,
                        ..Input::default()
                    }))
                }
                (area("Tasks in order, one per line: title, then its owner", "rows", value("rows"), 8, false))
                p.hint {
                    "Between title and owner goes a tab, a semicolon or a comma: two columns of a "
                    "spreadsheet can be pasted as they are."
                }
                (button("Plan the release", "main"))
            }))
        }
    }
}
