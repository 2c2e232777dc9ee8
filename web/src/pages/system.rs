//! How Slipway itself is doing, for administrators: what every process depends on, what became of
//! today's notifications, and what happened and failed.

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use maud::{Markup, html};
use slipway_proto::{
    notify::v1::{
        GetDeliveryFiguresRequest, GetDeliveryFiguresResponse, ListLogEntriesRequest,
        ListLogEntriesResponse, LogEntry, LogFilter, LogKind,
    },
    process::v1::{Dependency, DependencyState, GetHealthResponse},
    time::to_proto,
};
use slipway_rpc::error::Fault;

use super::{Page, overview::duration, part};
use crate::{
    ProcessHealth,
    chart::figures,
    parts::{Input, button, choice, input, more},
    times::when,
    visit::Visit,
};

/// What the log can show: the value of the parameter, its name, and the kinds.
const SHOWN: [(&str, &str, &[LogKind]); 6] = [
    (
        "",
        "What failed",
        &[
            LogKind::Incident,
            LogKind::DeadLetter,
            LogKind::FailedNotification,
        ],
    ),
    ("incidents", "Incidents", &[LogKind::Incident]),
    ("dead-letters", "Dead letters", &[LogKind::DeadLetter]),
    (
        "notifications",
        "Failed notifications",
        &[LogKind::FailedNotification],
    ),
    ("acts", "What administrators did", &[LogKind::Act]),
    ("all", "Everything", &[]),
];

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let shown = SHOWN
        .iter()
        .find(|(value, ..)| *value == visit.query.get("show"));
    let (_, name, kinds) = shown.unwrap_or(&SHOWN[0]);
    let processes = &visit.services().processes;
    let (health, today, log) = tokio::join!(
        processes.health(visit.outbound()),
        today(visit),
        log(visit, kinds)
    );
    let health = part(health, |health| shown_health(visit, &health))?;
    let today = part(today, |today| deliveries(visit, &today))?;
    let log = part(log, |log| entries(visit, &log))?;
    Page::new(
        "System",
        html! {
            h1 { "System" }
            section #health { h2 { "Health" } (health) }
            section #deliveries data-live="" { h2 { "Notifications today" } (today) }
            section {
                h2 #log { "Log: " (name) }
                (filters(visit))
                div #entries data-live="" { (log) }
            }
        },
    )
}

fn shown_health(visit: &Visit, processes: &[ProcessHealth]) -> Markup {
    html! {
        @for process in processes {
            div.card.process {
                @match &process.health {
                    Ok(health) => (told(visit, process.name, health)),
                    Err(fault) => {
                        h3 { (process.name) " " span.state.hotfix { "Does not answer" } }
                        p { (fault.detail) }
                    },
                }
            }
        }
    }
}

fn told(visit: &Visit, name: &str, health: &GetHealthResponse) -> Markup {
    let is_down = |one: &&Dependency| one.state() == DependencyState::Down;
    let mut down = health.dependencies.iter().filter(is_down).peekable();
    let is_up = down.peek().is_none();
    let cannot_work = health
        .dependencies
        .iter()
        .filter(is_down)
        .any(|one| one.required);
    html! {
        h3 {
            (name) " "
            @if is_up {
                span.state.done { "Works" }
            } @else if cannot_work {
                span.state.hotfix { "Does not work" }
            } @else {
                span.state.hotfix { "Degraded" }
            }
        }
        p.facts {
            span { "version " (health.version) }
            span { "started " (when(health.started_at.as_ref(), visit.now)) }
        }
        @for one in down {
            div.problem {
                p { strong { (one.name) " is down" } " since " (when(one.since.as_ref(), visit.now)) ". " (one.meaning) }
                p.why dir="auto" { (one.problem) }
            }
        }
        details.numbers open[!is_up] {
            summary { (health.dependencies.len()) " dependencies" span.sr { " of " (name) } }
            table {
                thead { tr { th scope="col" { "What" } th scope="col" { "State" } th scope="col" { "Since" } } }
                tbody {
                    @for one in &health.dependencies {
                        tr {
                            th scope="row" { (one.name) }
                            td { @if is_down(&one) { span.late { "Down" } } @else { "Up" } }
                            td { (when(one.since.as_ref(), visit.now)) }
                        }
                    }
                }
            }
        }
    }
}

fn deliveries(visit: &Visit, today: &GetDeliveryFiguresResponse) -> Markup {
    let counts = today.counts.unwrap_or_default();
    let (sent, failed) = (counts.sent + counts.delivered, counts.failed);
    let waiting = counts.queued + counts.sending;
    let total = sent + failed + waiting + counts.suppressed;
    html! {
        (figures(&[
            ("All", total.to_string()),
            ("Sent", sent.to_string()),
            ("Failed", failed.to_string()),
            ("Waiting", waiting.to_string()),
            ("Not wanted", counts.suppressed.to_string()),
            ("Success rate", rate(sent, failed)),
            ("Latency, mean", duration(today.mean_latency_ms)),
            ("Latency, 99 of 100 within", duration(today.p99_latency_ms)),
        ]))
        p.hint {
            "Since midnight in " (today.time_zone) " (" (when(today.from.as_ref(), visit.now))
            "). The latency is of the last " (today.measured) " that were sent at once."
        }
    }
}

/// The part of what was sent, in percent.
fn rate(sent: u64, failed: u64) -> String {
    let all = sent + failed;
    match all {
        0 => "–".to_owned(),
        // 100 % only if nothing failed.
        all => format!("{} %", u128::from(sent) * 100 / u128::from(all)),
    }
}

fn filters(visit: &Visit) -> Markup {
    let query = &visit.query;
    let field = |label, name, kind| {
        input(&Input {
            label,
            name,
            kind,
            value: query.get(name),
            required: false,
            ..Input::default()
        })
    };
    html! {
        form.filters method="get" action="/admin" {
            (choice("Show", "show", SHOWN.map(|(value, name, _)| (value, name)), query.get("show")))
            (field("Text", "q", "search"))
            (field("From (UTC)", "from", "date"))
            (field("Up to (UTC)", "to", "date"))
            (button("Show", ""))
        }
    }
}

fn entries(visit: &Visit, log: &ListLogEntriesResponse) -> Markup {
    html! {
        @if log.entries.is_empty() {
            p.empty {
                @if log.next_page_token.is_empty() { "There is nothing." } @else { "Nothing so far: the search goes on." }
            }
        }
        ol.wall { @for entry in &log.entries { (row(visit, entry)) } }
        (more(visit, &log.next_page_token, "Older entries"))
    }
}

fn row(visit: &Visit, entry: &LogEntry) -> Markup {
    let (class, kind) = match entry.kind() {
        LogKind::Incident => ("hotfix", "Incident"),
        LogKind::DeadLetter => ("hotfix", "Dead letter"),
        LogKind::FailedNotification => ("hotfix", "Failed notification"),
        LogKind::Act | LogKind::Unspecified => ("todo", "Administrator"),
    };
    html! {
        li {
            p dir="auto" {
                @match about(entry) {
                    Some(address) => a href=(address) { (entry.summary) },
                    None => (entry.summary),
                }
            }
            @if !entry.detail.is_empty() { p.why dir="auto" { (entry.detail) } }
            p.facts {
                span.state.(class) { (kind) } " "
                @if entry.open { span.late { "open" } " " }
                (when(entry.time.as_ref(), visit.now)) " " code { (entry.r#type) }
            }
        }
    }
}

/// The page of what an entry is about.
fn about(entry: &LogEntry) -> Option<String> {
    let is_gone = entry.r#type.ends_with(".deleted");
    match entry.kind() {
        LogKind::Incident => Some("/admin/incidents".to_owned()),
        LogKind::DeadLetter => Some(format!("/admin/dead-letters/{}", entry.id)),
        LogKind::FailedNotification => Some(format!("/notifications/{}", entry.id)),
        _ if is_gone => None,
        _ if !entry.task_id.is_empty() => Some(format!("/tasks/{}", entry.task_id)),
        _ if !entry.release_id.is_empty() => Some(format!("/releases/{}", entry.release_id)),
        _ => None,
    }
}

/// Midnight in UTC at the beginning of a date; of the day after it with `after`. `None` if the text
/// is no date.
fn midnight(date: &str, after: bool) -> Option<Timestamp> {
    let date: Date = date.parse().ok()?;
    let date = if after {
        date.checked_add(1.day()).ok()?
    } else {
        date
    };
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

async fn today(visit: &Visit) -> Result<GetDeliveryFiguresResponse, Fault> {
    let request = visit.request(GetDeliveryFiguresRequest {});
    let mut service = visit.services().notifications.clone();
    Ok(service.get_delivery_figures(request).await?.into_inner())
}

async fn log(visit: &Visit, kinds: &[LogKind]) -> Result<ListLogEntriesResponse, Fault> {
    let query = &visit.query;
    let request = visit.request(ListLogEntriesRequest {
        filter: Some(LogFilter {
            kinds: kinds.iter().copied().map(i32::from).collect(),
            from: midnight(query.get("from"), false).map(to_proto),
            to: midnight(query.get("to"), true).map(to_proto),
            text: query.get("q").trim().to_owned(),
        }),
        page_size: 20,
        page_token: query.get("cursor").to_owned(),
    });
    let mut service = visit.services().log.clone();
    Ok(service.list_log_entries(request).await?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_includes_its_last_day() {
        let at = |text: &str| Some(text.parse().unwrap());
        assert_eq!(midnight("2026-02-28", false), at("2026-02-28T00:00:00Z"));
        assert_eq!(midnight("2026-02-28", true), at("2026-03-01T00:00:00Z"));
        for wrong in ["", "yesterday", "2026-02-30", "9999-12-31T"] {
            assert_eq!(midnight(wrong, true), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_is_100_percent_while_something_failed() {
        assert_eq!(
            (rate(0, 0), rate(9_999, 1)),
            ("–".to_owned(), "99 %".to_owned())
        );
        assert_eq!(
            (rate(3, 0), rate(0, 3)),
            ("100 %".to_owned(), "0 %".to_owned())
        );
    }
}
