//! Faults of the system, for administrators. Mails about them link here.

use maud::{Markup, html};
use slipway_proto::notify::v1::{Incident, IncidentState, ListIncidentsRequest};
use slipway_rpc::error::Fault;

use super::Page;
use crate::{parts::more, times::when, visit::Visit};

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let (state, name) = match visit.query.get("state") {
        "RESOLVED" => (IncidentState::Resolved, "resolved"),
        "OPEN" => (IncidentState::Open, "open"),
        _ => (IncidentState::Unspecified, ""),
    };
    let request = visit.request(ListIncidentsRequest {
        state: state.into(),
        page_size: 50,
        page_token: visit.query.get("cursor").to_owned(),
    });
    let incidents = visit
        .services()
        .incidents
        .clone()
        .list_incidents(request)
        .await;
    let answer = incidents?.into_inner();
    let tab = |to: &str, of: &str, text: &str| {
        html! { a href=(to) aria-current=[(of == name).then_some("page")] { (text) } }
    };
    Page::new(
        "Incidents",
        html! {
            h1 { "Incidents" }
            nav.tabs aria-label="Which incidents" {
                (tab("/admin/incidents", "", "All"))
                (tab("/admin/incidents?state=OPEN", "open", "Open"))
                (tab("/admin/incidents?state=RESOLVED", "resolved", "Resolved"))
            }
            div #incidents data-live="" {
                @if answer.incidents.is_empty() { p.empty { "There are none." } }
                ul.list { @for one in &answer.incidents { li.card { (row(visit, one)) } } }
                (more(visit, &answer.next_page_token, "Older incidents"))
            }
        },
    )
}

fn row(visit: &Visit, one: &Incident) -> Markup {
    let is_open = one.state() == IncidentState::Open;
    html! {
        h2.title { bdi { (one.summary) } }
        p.facts {
            @if is_open { span.state.hotfix { "Open" } } @else { span.state.done { "Resolved" } }
            " " span { (one.service) ", " code { (one.kind) } }
            " " span { (one.count) "×" }
            " " span { "first " (when(one.first_seen.as_ref(), visit.now)) }
            " " span { "last " (when(one.last_seen.as_ref(), visit.now)) }
            @if !one.trace_id.is_empty() { " " span { "trace " code { (one.trace_id) } } }
        }
    }
}
