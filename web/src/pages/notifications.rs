//! Notifications: what was mailed, or why it was not. The visitor's, everybody's, and one of them.

use maud::{Markup, html};
use slipway_proto::notify::v1::{
    GetNotificationRequest, ListAllNotificationsRequest, ListNotificationsRequest, Notification,
    NotificationFilter, NotificationState,
};
use slipway_rpc::error::Fault;

use super::{Page, asked};
use crate::{
    parts::{Input, button, choice, input, moment, more, person, up},
    times::{sent, when},
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

/// What an attempt ended with: its code, and what it means.
const OUTCOMES: [(&str, &str); 7] = [
    ("ACCEPTED", "the mail server accepted it"),
    ("TEMPORARY", "the mail server refused it for now"),
    ("PERMANENT", "the mail server refused it for good"),
    ("UNREACHABLE", "the mail server could not be reached"),
    ("INTERRUPTED", "Slipway was stopped during it"),
    ("DELIVERED", "it arrived"),
    ("BOUNCED", "it came back"),
];

/// The visitor's notifications.
pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let request = visit.request(ListNotificationsRequest {
        filter: Some(filter(visit)?),
        ascending: ascending(visit),
        page_size: 20,
        page_token: visit.query.get("cursor").to_owned(),
    });
    let notifications = visit.services().notifications.clone();
    let (answer, fault) = asked({ notifications }.list_notifications(request).await)?;
    let page = Page::new(
        "Notifications",
        html! {
            h1 { "Notifications" }
            p { a href="/preferences" { "Choose what is mailed, and when" } }
            (filters(visit, &html! {}))
            (shown(visit, &answer.notifications, &answer.next_page_token))
        },
    )?;
    Ok(page.refused(fault))
}

/// The notifications of everybody, for administrators.
pub(super) async fn all(visit: &Visit) -> Result<Page, Fault> {
    let request = visit.request(ListAllNotificationsRequest {
        filter: Some(filter(visit)?),
        recipient: visit.query.get("recipient").trim().to_owned(),
        ascending: ascending(visit),
        page_size: 50,
        page_token: visit.query.get("cursor").to_owned(),
    });
    let notifications = visit.services().notifications.clone();
    let (answer, fault) = asked({ notifications }.list_all_notifications(request).await)?;
    let recipient = Input {
        label: "Name or address of the recipient",
        name: "recipient",
        kind: "search",
        value: visit.query.get("recipient"),
        required: false,
        ..Input::default()
    };
    let page = Page::new(
        "All notifications",
        html! {
            h1 { "All notifications" }
            (filters(visit, &input(&recipient)))
            (shown(visit, &answer.notifications, &answer.next_page_token))
        },
    )?;
    Ok(page.refused(fault))
}

fn ascending(visit: &Visit) -> bool {
    visit.query.get("order") == "asc"
}

fn filter(visit: &Visit) -> Result<NotificationFilter, Fault> {
    let query = &visit.query;
    let chosen = query.get("state");
    let chosen = STATES.iter().find(|(value, ..)| *value == chosen);
    let state = chosen.map_or(NotificationState::Unspecified, |(.., state)| *state);
    Ok(NotificationFilter {
        state: state.into(),
        r#type: query.get("type").trim().to_owned(),
        from: sent(query, "from", "from")?,
        to: sent(query, "to", "to")?,
        text: query.get("q").trim().to_owned(),
    })
}

/// The fields that choose, after others.
fn filters(visit: &Visit, others: &Markup) -> Markup {
    let query = &visit.query;
    let text = |label, name| {
        input(&Input {
            label,
            name,
            kind: "search",
            value: query.get(name),
            required: false,
            ..Input::default()
        })
    };
    html! {
        form.filters method="get" action=(visit.path) {
            (others)
            (text("Text in the subject", "q"))
            (text("Type, such as task.assigned", "type"))
            (choice("State", "state", STATES.map(|(value, name, _)| (value, name)), query.get("state")))
            (moment("From", "from", query.get("from")))
            (moment("Until", "to", query.get("to")))
            (choice("Order", "order", [("", "Newest first"), ("asc", "Oldest first")], query.get("order")))
            (button("Show", ""))
        }
    }
}

fn shown(visit: &Visit, notifications: &[Notification], next: &str) -> Markup {
    html! {
        div #notifications data-live="" {
            @if notifications.is_empty() { p.empty { "There are none here." } }
            ul.list { @for one in notifications { li.card { (row(visit, one)) } } }
            (more(visit, next, "More"))
        }
    }
}

fn row(visit: &Visit, one: &Notification) -> Markup {
    html! {
        h2.title { a href={ "/notifications/" (one.id) } { bdi { (one.subject) } } }
        p.facts {
            (state(one)) " " (when(one.created_at.as_ref(), visit.now)) " "
            @if !is_own(visit, one) { span { "to " (recipient(one)) } " " }
            code { (one.r#type) }
            @if one.due_at.is_some() { " " span { "next attempt " (when(one.due_at.as_ref(), visit.now)) } }
        }
        @if !one.reason.is_empty() { p.why dir="auto" { (told(&one.reason)) } }
    }
}

fn is_own(visit: &Visit, one: &Notification) -> bool {
    let recipient = one.recipient.as_ref();
    recipient.is_some_and(|recipient| visit.is_user(&recipient.id))
}

fn recipient(one: &Notification) -> Markup {
    match &one.recipient {
        Some(user) => person(&user.username),
        None => html! { bdi { (one.address) } },
    }
}

fn state(one: &Notification) -> Markup {
    let state = STATES.iter().find(|(.., state)| *state == one.state());
    let name = state.map_or("", |(_, name, _)| name);
    let class = match one.state() {
        NotificationState::Sent | NotificationState::Delivered => "done",
        NotificationState::Failed => "hotfix",
        NotificationState::Queued | NotificationState::Sending => "doing",
        NotificationState::Suppressed | NotificationState::Unspecified => "todo",
    };
    html! { span.state.(class) { (name) } }
}

/// One notification: whether it was sent, why or why not, and each attempt.
pub(super) async fn one(visit: &Visit, id: &str) -> Result<Page, Fault> {
    let request = visit.request(GetNotificationRequest { id: id.to_owned() });
    let notifications = visit.services().notifications.clone();
    let answer = { notifications }.get_notification(request).await?;
    let one = answer.into_inner().notification.unwrap_or_default();
    let (list, name) = match is_own(visit, &one) {
        true => ("/notifications", "Notifications"),
        false => ("/admin/notifications", "All notifications"),
    };
    Page::new(
        one.subject.clone(),
        html! {
            (up(list, name))
            h1 { bdi { (one.subject) } }
            div #notification data-live="" {
                p.facts {
                    (state(&one)) " " span { "to " (recipient(&one)) } " " code { (one.r#type) }
                    " " span { "made " (when(one.created_at.as_ref(), visit.now)) }
                    " " span { "last change " (when(one.updated_at.as_ref(), visit.now)) }
                }
                section.card {
                    h2.title { (question(&one)) }
                    p dir="auto" { (why(&one)) }
                    @if one.due_at.is_some() {
                        p { "The next attempt is due " (when(one.due_at.as_ref(), visit.now)) "." }
                    }
                    @if one.state() == NotificationState::Suppressed && is_own(visit, &one) {
                        p { a href="/preferences" { "Choose what is mailed, and when" } }
                    }
                }
                (attempts(visit, &one))
                p.facts {
                    span { "event " code { (one.event_id) } }
                    @if !one.digest_id.is_empty() {
                        " " span { "mailed together with others, in mail " code { (one.digest_id) } }
                    }
                }
            }
        },
    )
}

fn question(one: &Notification) -> &'static str {
    match one.state() {
        NotificationState::Suppressed | NotificationState::Failed => "Why it was not mailed",
        NotificationState::Queued => "Why it waits",
        _ => "What became of it",
    }
}

fn why(one: &Notification) -> String {
    if !one.reason.is_empty() {
        return told(&one.reason);
    }
    let text = match one.state() {
        NotificationState::Queued => "It is mailed at the next attempt.",
        NotificationState::Sending => "It is being sent at this moment.",
        NotificationState::Sent => {
            "The mail server accepted it. Whether it arrived is known only if the server reports it."
        }
        NotificationState::Delivered => "It arrived: the mail server has reported it.",
        NotificationState::Failed => "It could not be sent.",
        NotificationState::Suppressed | NotificationState::Unspecified => "No reason is known.",
    };
    text.to_owned()
}

/// A reason without the code that it may begin with, as a sentence.
fn told(reason: &str) -> String {
    let text = match reason.split_once(": ") {
        Some((code, text)) if code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') => text,
        _ => reason,
    };
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(characters).collect()
}

fn attempts(visit: &Visit, one: &Notification) -> Markup {
    html! {
        h2 { "Attempts" }
        @if one.attempts.is_empty() { p.empty { "None." } } @else {
            div.table tabindex="0" {
                table {
                    thead { tr { th scope="col" { "When" } th scope="col" { "Took" } th scope="col" { "Result" } } }
                    tbody {
                        @for attempt in &one.attempts {
                            @let outcome = OUTCOMES.iter().find(|(code, _)| *code == attempt.outcome);
                            tr {
                                td { (when(attempt.time.as_ref(), visit.now)) }
                                td { (attempt.duration_ms) " ms" }
                                td dir="auto" {
                                    (outcome.map_or(&*attempt.outcome, |(_, text)| text))
                                    @if !attempt.answer.is_empty() { ": " code { (attempt.answer) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_without_its_code() {
        for (reason, sentence) in [
            ("QUIET_HOURS: it was quiet", "It was quiet"),
            ("550: no such box", "550: no such box"),
            ("Über: x", "Über: x"),
            ("éa", "Éa"),
            ("", ""),
        ] {
            assert_eq!(told(reason), sentence);
        }
    }
}
