//! The wall of activity: everything that happened, newest first.

use maud::{Markup, html};
use serde_json::Value;
use slipway_proto::notify::v1::{
    ActivityEntry, ActivityFilter, ActivityServiceListRequest, ReadPosition,
};
use slipway_rpc::error::Fault;

use super::{Page, counted, read_position};
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
    let list = async {
        let answer = visit.services().activity.clone().list(request).await;
        answer.map_err(Fault::from)
    };
    let (answer, read) = tokio::try_join!(list, read_position(visit))?;
    let answer = answer.into_inner();
    Page::new(
        "Activity",
        html! {
            h1 { "Activity" }
            (filters(visit))
            div #wall data-live="" {
                @if answer.entries.is_empty() { p.empty { "Nothing that matches has happened." } }
                (mark(visit, answer.newest, &read))
                (days(visit, &answer.entries, read.sequence))
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

/// How much is unread, and what marks it as read.
fn mark(visit: &Visit, newest: u64, read: &ReadPosition) -> Markup {
    let unread = read.entries.unwrap_or_default();
    html! {
        @if unread.count > 0 {
            (visit.form("/ui/read", "read", &html! {
                input type="hidden" name="sequence" value=(newest);
                span { (counted(unread)) " unread" }
                (button("Mark all as read", ""))
            }))
        }
    }
}

fn days(visit: &Visit, entries: &[ActivityEntry], read_to: u64) -> Markup {
    // The first entry that was read, if others are before it and something was read at all.
    let line = entries.iter().position(|entry| entry.sequence <= read_to);
    let line = line.filter(|place| *place > 0);
    let line = line.map_or(0, |place| entries[place].sequence);
    let of = |entry: &ActivityEntry| read(entry.time.as_ref()).map(day).unwrap_or_default();
    html! {
        @for entries in entries.chunk_by(|a, b| of(a) == of(b)) {
            h2.day { (of(&entries[0])) }
            ol.wall {
                @for entry in entries {
                    @if entry.sequence == line { li.unread-line { "You have read everything from here on" } }
                    (row(visit, entry))
                }
            }
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
