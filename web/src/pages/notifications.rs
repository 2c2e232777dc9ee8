//! The visitor's notifications: what was mailed, or why it was not.

use maud::{Markup, html};
use slipway_proto::notify::v1::{
    ListNotificationsRequest, Notification, NotificationFilter, NotificationState, ReadPosition,
};
use slipway_rpc::error::Fault;

use super::{Page, counted, read_position};
use crate::{
    parts::{Input, button, input, more},
    times::when,
    visit::Visit,
};

/// The states: the value of the parameter, and its name.
const STATES: [(&str, &str, NotificationState); 7] = [
    ("", "Any", NotificationState::Unspecified),
    ("QUEUED", "Queued", NotificationState::Queued),
    ("SENDING", "Being sent", NotificationState::Sending),
    ("SENT", "Sent", NotificationState::Sent),
    ("DELIVERED", "Delivered", NotificationState::Delivered),
    ("FAILED", "Failed", NotificationState::Failed),
    ("SUPPRESSED", "Not sent", NotificationState::Suppressed),
];

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let query = &visit.query;
    let chosen = STATES
        .iter()
        .find(|(value, ..)| *value == query.get("state"));
    let state = chosen.map_or(NotificationState::Unspecified, |(.., state)| *state);
    let request = visit.request(ListNotificationsRequest {
        filter: Some(NotificationFilter {
            state: state.into(),
            text: query.get("q").trim().to_owned(),
            ..NotificationFilter::default()
        }),
        ascending: query.get("order") == "asc",
        page_size: 20,
        page_token: query.get("cursor").to_owned(),
    });
    let mut service = visit.services().notifications.clone();
    let list = async {
        service
            .list_notifications(request)
            .await
            .map_err(Fault::from)
    };
    let (answer, read) = tokio::try_join!(list, read_position(visit))?;
    let answer = answer.into_inner();
    Page::new(
        "Notifications",
        html! {
            h1 { "Notifications" }
        p { a href="/preferences" { "Choose what is mailed, and when" } }
            (filters(visit, state))
            div #notifications data-live="" {
                (mark(visit, &answer.notifications, &read))
                @if answer.notifications.is_empty() { p.empty { "There are none here." } }
                ul.list { @for one in &answer.notifications { li.card { (row(visit, one)) } } }
                (more(visit, &answer.next_page_token, "More"))
            }
        },
    )
}

/// What marks the notifications up to the newest one of the page as read.
fn mark(visit: &Visit, shown: &[Notification], read: &ReadPosition) -> Markup {
    let unread = read.notifications.unwrap_or_default();
    let newest = shown.iter().map(|one| &one.id).max();
    let newest = newest.filter(|newest| **newest > read.notification_id);
    html! {
        @if let Some(newest) = newest.filter(|_| unread.count > 0) {
            (visit.form("/ui/read", "read", &html! {
                input type="hidden" name="notification" value=(newest);
                span { (counted(unread)) " unread" }
                (button("Mark as read", ""))
            }))
        }
    }
}

fn filters(visit: &Visit, state: NotificationState) -> Markup {
    let ascending = visit.query.get("order") == "asc";
    html! {
        form.filters method="get" action="/notifications" {
            (input(&Input {
                label: "Text in the subject",
                name: "q",
                kind: "search",
                value: visit.query.get("q"),
                required: false,
                ..Input::default()
            }))
            label.field {
                span { "State" }
                select name="state" {
                    @for (value, name, of) in STATES {
                        option value=(value) selected[of == state] { (name) }
                    }
                }
            }
            label.field {
                span { "Order" }
                select name="order" {
                    option value="" selected[!ascending] { "Newest first" }
                    option value="asc" selected[ascending] { "Oldest first" }
                }
            }
            (button("Show", ""))
        }
    }
}

fn row(visit: &Visit, one: &Notification) -> Markup {
    let state = STATES.iter().find(|(.., state)| *state == one.state());
    let name = state.map_or("", |(_, name, _)| name);
    let class = match one.state() {
        NotificationState::Sent | NotificationState::Delivered => "done",
        NotificationState::Failed => "hotfix",
        NotificationState::Queued | NotificationState::Sending => "doing",
        NotificationState::Suppressed | NotificationState::Unspecified => "todo",
    };
    html! {
        h2.title { bdi { (one.subject) } }
        p.facts {
            span.state.(class) { (name) } " " (when(one.created_at.as_ref(), visit.now)) " "
            code { (one.r#type) }
            @if one.due_at.is_some() { " " span { "next attempt " (when(one.due_at.as_ref(), visit.now)) } }
        }
        @if !one.reason.is_empty() { p.why dir="auto" { (one.reason) } }
        @if !one.attempts.is_empty() {
            details.inline {
                summary { "Attempts" }
                ol {
                    @for attempt in &one.attempts {
                        li { (when(attempt.time.as_ref(), visit.now)) ", " (attempt.duration_ms) " ms: " code { (attempt.outcome) } }
                    }
                }
            }
        }
    }
}
