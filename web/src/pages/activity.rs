//! The wall of activity: everything that happened, newest first.

use maud::{Markup, html};
use serde_json::Value;
use slipway_proto::notify::v1::{ActivityEntry, ActivityFilter, ActivityServiceListRequest};
use slipway_rpc::error::Fault;

use super::Page;
use crate::{
    parts::{button, more, person},
    times::{day, read, when},
    visit::Visit,
};

/// What can be chosen: the value of the parameter, and its name.
const TYPES: [(&str, &str); 9] = [
    ("", "Everything"),
    ("task.*", "Tasks"),
    ("task.started", "Tasks started"),
    ("task.completed", "Tasks completed"),
    ("task.hotfix_added", "Hotfixes"),
    ("release.*", "Releases"),
    ("comment.*", "Discussions"),
    ("notification.*", "Mails"),
    ("system.error", "Errors"),
];

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let query = &visit.query;
    let request = visit.request(ActivityServiceListRequest {
        filter: Some(ActivityFilter {
            types: query
                .filled("type")
                .map(str::to_owned)
                .into_iter()
                .collect(),
            release_id: query.get("releaseId").to_owned(),
            mine: query.get("mine") == "true",
        }),
        page_size: 50,
        page_token: query.get("cursor").to_owned(),
        ..ActivityServiceListRequest::default()
    });
    let answer = visit
        .services()
        .activity
        .clone()
        .list(request)
        .await?
        .into_inner();
    Page::new(
        "Activity",
        html! {
            h1 { "Activity" }
            (filters(visit))
            div #wall data-live="" {
                @if answer.entries.is_empty() { p.empty { "Nothing that matches has happened." } }
                (days(visit, &answer.entries))
                (more(visit, &answer.next_page_token, "Older"))
            }
        },
    )
}

fn filters(visit: &Visit) -> Markup {
    let chosen = visit.query.get("type");
    let release = visit.query.get("releaseId");
    html! {
        form.filters method="get" action="/activity" {
            label.field {
                span { "Show" }
                select name="type" {
                    @for (value, name) in TYPES {
                        option value=(value) selected[value == chosen] { (name) }
                    }
                    @if !TYPES.iter().any(|(value, _)| *value == chosen) {
                        option value=(chosen) selected { (chosen) }
                    }
                }
            }
            label.check {
                input type="checkbox" name="mine" value="true" checked[visit.query.get("mine") == "true"];
                " Only what concerns me"
            }
            @if !release.is_empty() {
                label.check {
                    input type="checkbox" name="releaseId" value=(release) checked;
                    " Only " a href={ "/releases/" (release) } { "this release" }
                }
            }
            (button("Show", ""))
        }
    }
}

fn days(visit: &Visit, entries: &[ActivityEntry]) -> Markup {
    let of = |entry: &ActivityEntry| read(entry.time.as_ref()).map(day).unwrap_or_default();
    html! {
        @for entries in entries.chunk_by(|a, b| of(a) == of(b)) {
            h2.day { (of(&entries[0])) }
            ol.wall { @for entry in entries { (row(visit, entry)) } }
        }
    }
}

fn row(visit: &Visit, entry: &ActivityEntry) -> Markup {
    let family = entry.r#type.split('.').next().unwrap_or_default();
    html! {
        li.(family) #{ "entry-" (entry.sequence) } {
            p dir="auto" {
                @match about(entry) {
                    Some(address) => a href=(address) { (entry.summary) },
                    None => (entry.summary),
                }
            }
            p.facts {
                (when(entry.time.as_ref(), visit.now)) " "
                @if let Some(actor) = &entry.actor { (person(&actor.username)) " " }
                code { (entry.r#type) } " " span { "№ " (entry.sequence) }
            }
        }
    }
}

/// The page of what an entry is about.
fn about(entry: &ActivityEntry) -> Option<String> {
    let data: Value = serde_json::from_str(&entry.data_json).unwrap_or_default();
    let task = data["task"]["id"].as_str();
    match entry.r#type.split('.').next()? {
        "task" if entry.r#type != "task.deleted" => Some(format!("/tasks/{}", entry.subject)),
        "comment" => task.map(|task| format!("/tasks/{task}/comments#comment-{}", entry.subject)),
        _ if entry.r#type == "release.deleted" || entry.release_id.is_empty() => None,
        _ => Some(format!("/releases/{}", entry.release_id)),
    }
}
