//! The list of releases, and the form that plans one.

use std::collections::HashMap;

use maud::{Markup, html};
use slipway_plan::{Format, Plan, PlannedRecurrence, PlannedTask, Priority};
use slipway_proto::release::v1::{
    GetReleaseRequest, ListReleasesRequest, ListTasksRequest, Release, ReleaseStatus, Task,
    TaskPriority, TaskStatus,
};
use slipway_rpc::error::Fault;

use super::Page;
use crate::{
    parts::{Input, area, button, input, more, progress, release_link, task_link, user},
    times::{read, when},
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
    let (releases, working, copy) = tokio::try_join!(releases, in_process(visit), copy(visit))?;
    let tab = |to: &str, of: ReleaseStatus, text: &str| {
        html! { a href=(to) aria-current=[(status == of).then_some("page")] { (text) } }
    };
    Page::new(
        "Releases",
        html! {
            h1 { "Releases" }
            @if visit.is_admin() { (plan(visit, copy.as_ref())) }
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

/// The plan of the release that shall be copied, if there is one.
async fn copy(visit: &Visit) -> Result<Option<Plan>, Fault> {
    let Some(id) = visit.query.filled("copy").filter(|_| visit.is_admin()) else {
        return Ok(None);
    };
    let request = visit.request(GetReleaseRequest { id: id.to_owned() });
    let releases = visit.services().releases.clone();
    let answer = { releases }.get_release(request).await?.into_inner();
    let release = answer.release.unwrap_or_default();
    let days = visit.query.get("days").trim().parse().ok();
    let (name, version) = (release.name.clone(), release.version.clone());
    Ok(Some(plan_of(release).copied(name, Some(version), days)))
}

/// What a release has of a plan.
pub(crate) fn plan_of(release: Release) -> Plan {
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    let task = |task: Task| PlannedTask {
        priority: match task.priority() {
            TaskPriority::Unspecified | TaskPriority::Normal => None,
            TaskPriority::Low => Some(Priority::Low),
            TaskPriority::High => Some(Priority::High),
            TaskPriority::Urgent => Some(Priority::Urgent),
        },
        due_at: read(task.due_at.as_ref()).map(|due| due.to_string()),
        title: task.title,
        description: filled(task.description),
        assignee: task.assignee.map(|user| user.username).unwrap_or_default(),
        order_index: Some(task.order_index),
        tags: task.tags,
        remind_before_minutes: task.remind_before_minutes.map(i64::from),
        recurrence: task.recurrence.map(|recurrence| PlannedRecurrence {
            rule: recurrence.rule,
            time_zone: filled(recurrence.time_zone),
            release_id: filled(recurrence.release_id),
        }),
        line: None,
    };
    Plan {
        name: release.name,
        version: filled(release.version),
        description: filled(release.description),
        tasks: release.tasks.into_iter().map(task).collect(),
        hotfix: None,
    }
}

/// The tasks of a plan as they are typed: a line for each if a title and an owner are all that they
/// have, otherwise the whole plan.
fn typed(plan: &Plan) -> String {
    let is_plain = |task: &PlannedTask| {
        let plain = PlannedTask {
            title: task.title.clone(),
            assignee: task.assignee.clone(),
            order_index: task.order_index,
            ..PlannedTask::default()
        };
        *task == plain
    };
    let has_plain = plan.description.is_none() && plan.tasks.iter().all(is_plain);
    let rows = plan
        .tasks
        .iter()
        .map(|task| format!("{}\t{}\n", task.title, task.assignee));
    let rows: String = rows.collect();
    match has_plain && Format::of_text(&rows).is_none() {
        true => rows,
        false => plan.write(Format::Yaml),
    }
}

fn plan(visit: &Visit, copy: Option<&Plan>) -> Markup {
    let open = visit.is_again(PLAN) || copy.is_some() || !visit.query.get("plan").is_empty();
    let name = copy.map_or("", |plan| &plan.name);
    let version = copy
        .and_then(|plan| plan.version.as_deref())
        .unwrap_or_default();
    let rows = copy.map(typed).unwrap_or_default();
    let value = |name, otherwise| visit.typed(PLAN, name, otherwise);
    html! {
        details.card open[open] {
            summary { "Plan a release" }
            @if copy.is_some() {
                p.why { "A copy: give it another name or version, and change what is different this time." }
            }
            (visit.file_form(PLAN, "stack", &html! {
                (visit.once(PLAN))
                div.pair {
                    (input(&Input {
                        label: "Name, unless the plan has one",
                        name: "name",
                        value: value("name", name),
                        required: false,
                        ..Input::default()
                    }))
                    (input(&Input {
                        label: "Version, if it has one",
                        name: "version",
                        value: value("version", version),
                        required: false,
                        ..Input::default()
                    }))
                }
                (area("Tasks in order, one per line: title, then the developer who owns it", "rows", value("rows", &rows), 8, false))
                p.hint {
                    "Between title and owner goes a tab, a semicolon or a comma: two columns of a "
                    "spreadsheet can be pasted as they are. A whole plan can be pasted as well: "
                    "CSV with a header, YAML or JSON."
                }
                label.field {
                    span { "Or a plan file" }
                    input type="file" name="file"
                        accept=".json,.yaml,.yml,.csv,.tsv,.txt";
                }
                (button("Plan the release", "main"))
            }))
        }
    }
}
