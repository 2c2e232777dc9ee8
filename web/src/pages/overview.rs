//! How the work is going, for managers: the releases, how long tasks take, who works, and how much
//! happens now.

use jiff::{SignedDuration, tz::TimeZone};
use maud::{Markup, html};
use slipway_proto::{
    notify::v1::{
        DayOfTasks, Durations, GetTaskStatisticsRequest, GetTaskStatisticsResponse,
        GetTrafficStatisticsRequest, GetTrafficStatisticsResponse, MinuteOfTraffic,
    },
    release::v1::{ListReleasesRequest, ListReleasesResponse, ReleaseStatus},
};
use slipway_rpc::error::Fault;

use super::{Page, part};
use crate::{
    chart::{Chart, bars, figures, plain},
    parts::{progress, release_link},
    times::{length, read, when},
    visit::Visit,
};

/// The periods that can be chosen, in days; the first one is the default.
const PERIODS: [i32; 3] = [30, 7, 90];

/// Open releases that are shown.
const RELEASES: i32 = 20;

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let asked = visit.query.get("days").parse();
    let days = asked.ok().filter(|days| PERIODS.contains(days));
    let days = days.unwrap_or(PERIODS[0]);
    let (releases, tasks, traffic) =
        tokio::join!(releases(visit), tasks(visit, days), traffic(visit));
    let releases = part(releases, |releases| shown_releases(visit, &releases))?;
    let tasks = part(tasks, |tasks| work(&tasks))?;
    let traffic = part(traffic, |traffic| now(&traffic))?;
    Page::new(
        "Overview",
        html! {
            h1 { "Overview" }
            section #open-releases data-live="" { h2 { "Open releases" } (releases) }
            section #work {
                h2 { "Work in the last " (days) " days" }
                nav.tabs aria-label="Period" {
                    @for period in PERIODS {
                        a href={ "/overview?days=" (period) } aria-current=[(period == days).then_some("page")] {
                            (period) " days"
                        }
                    }
                }
                (tasks)
            }
            section #now { h2 { "In the last hour" } (traffic) }
        },
    )
}

fn shown_releases(visit: &Visit, found: &ListReleasesResponse) -> Markup {
    html! {
        @if found.releases.is_empty() { p.empty { "No release is open." } }
        ul.list {
            @for release in &found.releases {
                li.card.line {
                    div {
                        h3.title { (release_link(&release.id, &release.name)) }
                        p.facts {
                            span { "planned " (when(release.created_at.as_ref(), visit.now)) }
                            a href={ "/activity?releaseId=" (release.id) } {
                                "What happened" span.sr { " in " (release.name) }
                            }
                            @if release.reopened_count > 0 {
                                span.state.hotfix { "Reopened " (release.reopened_count) "×" }
                            }
                        }
                    }
                    (progress(release.progress.as_ref()))
                }
            }
        }
        @if !found.next_page_token.is_empty() { p { a href="/releases" { "All open releases" } } }
    }
}

fn work(statistics: &GetTaskStatisticsResponse) -> Markup {
    let total = statistics.total.clone().unwrap_or_default();
    let points = |number: fn(&DayOfTasks) -> Option<u64>| {
        let days = statistics.days.iter();
        days.map(|day| (day.date.clone(), number(day))).collect()
    };
    let median = |of: &Option<Durations>| of.as_ref().and_then(|of| of.median_ms);
    html! {
        (figures(&[
            ("Tasks completed", total.completed.to_string()),
            ("Active developers", total.active_developers.to_string()),
            ("Lead time, median", duration(median(&total.lead_time))),
            ("Of that, waiting", duration(median(&total.todo_time))),
            ("Of that, in process", duration(median(&total.in_process_time))),
        ]))
        p.hint {
            "The lead time is from the creation of a task to its completion. Days are those of UTC."
        }
        div.charts {
            (bars(&Chart {
                title: "Tasks completed a day",
                by: "Day",
                points: points(|day| Some(day.completed)),
                format: plain,
                empty: "No task was completed.",
            }))
            (bars(&Chart {
                title: "Active developers a day",
                by: "Day",
                points: points(|day| Some(day.active_developers)),
                format: plain,
                empty: "Nobody worked on a task.",
            }))
            (bars(&Chart {
                title: "Lead time, median a day",
                by: "Day",
                points: points(|day| day.lead_time.as_ref()?.median_ms),
                format: |ms| duration(Some(ms)),
                empty: "No task was completed.",
            }))
            (bars(&Chart {
                title: "Time in process, median a day",
                by: "Day",
                points: points(|day| day.in_process_time.as_ref()?.median_ms),
                format: |ms| duration(Some(ms)),
                empty: "No task was completed.",
            }))
        }
    }
}

fn now(traffic: &GetTrafficStatisticsResponse) -> Markup {
    let points = |number: fn(&MinuteOfTraffic) -> u64| {
        let minutes = traffic.minutes.iter();
        minutes
            .map(|minute| (time_of_day(minute), Some(number(minute))))
            .collect()
    };
    let sum = |number: fn(&MinuteOfTraffic) -> u64| traffic.minutes.iter().map(number).sum::<u64>();
    let took = traffic.answer_time.unwrap_or_default();
    html! {
        (figures(&[
            ("Events", sum(|minute| minute.events).to_string()),
            ("Questions answered", sum(|minute| minute.answers).to_string()),
            ("Answer, median", duration(took.median_ms)),
            ("Answer, 9 of 10 within", duration(took.p90_ms)),
        ]))
        div.charts {
            (bars(&Chart {
                title: "Events a minute",
                by: "Minute (UTC)",
                points: points(|minute| minute.events),
                format: plain,
                empty: "Nothing happened.",
            }))
            (bars(&Chart {
                title: "Questions answered a minute",
                by: "Minute (UTC)",
                points: points(|minute| minute.answers),
                format: plain,
                empty: "Nobody asked the assistant.",
            }))
        }
    }
}

fn time_of_day(minute: &MinuteOfTraffic) -> String {
    let start = read(minute.start.as_ref());
    let start = start.map(|start| start.to_zoned(TimeZone::UTC));
    start.map_or_else(String::new, |start| start.strftime("%H:%M").to_string())
}

/// A duration, in the unit that fits.
pub(super) fn duration(ms: Option<u64>) -> String {
    match ms {
        None => "–".to_owned(),
        Some(ms @ ..1_000) => format!("{ms} ms"),
        Some(ms @ ..60_000) => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        Some(ms) => {
            let ms = i64::try_from(ms).unwrap_or(i64::MAX);
            length(SignedDuration::from_millis(ms))
        }
    }
}

async fn releases(visit: &Visit) -> Result<ListReleasesResponse, Fault> {
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
    Ok(answer.into_inner())
}

async fn tasks(visit: &Visit, days: i32) -> Result<GetTaskStatisticsResponse, Fault> {
    let request = visit.request(GetTaskStatisticsRequest { days });
    let mut service = visit.services().statistics.clone();
    Ok(service.get_task_statistics(request).await?.into_inner())
}

async fn traffic(visit: &Visit) -> Result<GetTrafficStatisticsResponse, Fault> {
    let request = visit.request(GetTrafficStatisticsRequest { hours: 1 });
    let mut service = visit.services().statistics.clone();
    Ok(service.get_traffic_statistics(request).await?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_unit_that_fits() {
        for (ms, text) in [
            (None, "–"),
            (Some(0), "0 ms"),
            (Some(999), "999 ms"),
            (Some(1_250), "1.2 s"),
            (Some(59_999), "59.9 s"),
            (Some(60_000), "1 min"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }
}
