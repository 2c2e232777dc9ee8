//! `slipway.notify.v1.StatisticsService`: translates requests, reads the buckets, translates results.

use jiff::{Timestamp, civil::Date};
use slipway_proto::{
    notify::v1::{
        DayOfTasks, Durations, GetTaskStatisticsRequest, GetTaskStatisticsResponse,
        GetTrafficStatisticsRequest, GetTrafficStatisticsResponse, MinuteOfTraffic,
        statistics_service_server::StatisticsService,
    },
    time::to_proto,
};
use slipway_rpc::error::Fault;
use slipway_runtime::clock::SharedClock;
use tonic::{Request, Response, Status};

use super::{Day, Hour, Spread, store::StatisticsStore};

/// Days of a period: if none are given, and at most.
const DAYS: (u32, u32) = (30, 366);

/// Hours of a period: if none are given, and at most.
const HOURS: (u32, u32) = (1, 48);

const MINUTE: i64 = 60;

/// The service.
pub(crate) struct StatisticsApi {
    pub(crate) store: StatisticsStore,
    pub(crate) clock: SharedClock,
}

#[tonic::async_trait]
impl StatisticsService for StatisticsApi {
    async fn get_task_statistics(
        &self,
        request: Request<GetTaskStatisticsRequest>,
    ) -> Result<Response<GetTaskStatisticsResponse>, Status> {
        let count = length("days", request.get_ref().days, DAYS)?;
        let days = self.store.days(self.clock.now(), count).await;
        let days = days.map_err(Fault::from)?;
        let mut total = Day::default();
        days.iter().for_each(|(_, day)| total.join(day));
        Ok(Response::new(GetTaskStatisticsResponse {
            days: days
                .iter()
                .map(|(date, day)| of_day(Some(*date), day))
                .collect(),
            total: Some(of_day(None, &total)),
        }))
    }

    async fn get_traffic_statistics(
        &self,
        request: Request<GetTrafficStatisticsRequest>,
    ) -> Result<Response<GetTrafficStatisticsResponse>, Status> {
        let count = length("hours", request.get_ref().hours, HOURS)?;
        let now = self.clock.now();
        let hours = self.store.hours(now, count).await.map_err(Fault::from)?;
        let mut answer_time = Spread::default();
        hours
            .iter()
            .for_each(|(_, hour)| answer_time.join(&hour.answer_time));
        Ok(Response::new(GetTrafficStatisticsResponse {
            minutes: minutes(&hours, now, count),
            answer_time: Some(durations(&answer_time)),
        }))
    }
}

/// The length of a period.
fn length(field: &str, asked: i32, (default, most): (u32, u32)) -> Result<u32, Fault> {
    match u32::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(asked) if asked <= most => Ok(asked),
        _ => Err(Fault::invalid_field(
            field,
            format!("must be from 1 to {most}"),
        )),
    }
}

/// The minutes of the last `count` hours, up to that of `now`.
fn minutes(hours: &[(i64, Hour)], now: Timestamp, count: u32) -> Vec<MinuteOfTraffic> {
    let last = now.as_second().div_euclid(MINUTE);
    let first = last - i64::from(count) * MINUTE + 1;
    let all = hours.iter().flat_map(|(number, hour)| {
        let counts = hour.events.iter().zip(&hour.answers).zip(0..);
        counts.map(move |((events, answers), n)| (number * 60 + n, *events, *answers))
    });
    let wanted = all.filter(|(minute, ..)| (first..=last).contains(minute));
    wanted
        .map(|(minute, events, answers)| MinuteOfTraffic {
            start: Timestamp::from_second(minute * MINUTE).ok().map(to_proto),
            events: events.into(),
            answers: answers.into(),
        })
        .collect()
}

fn of_day(date: Option<Date>, day: &Day) -> DayOfTasks {
    DayOfTasks {
        date: date.map(|date| date.to_string()).unwrap_or_default(),
        completed: day.lead.count(),
        active_developers: day.developers.len() as u64,
        lead_time: Some(durations(&day.lead)),
        todo_time: Some(durations(&day.todo)),
        in_process_time: Some(durations(&day.in_process)),
    }
}

fn durations(spread: &Spread) -> Durations {
    Durations {
        count: spread.count(),
        mean_ms: spread.mean(),
        median_ms: spread.percentile(50),
        p90_ms: spread.percentile(90),
        p99_ms: spread.percentile(99),
        max_ms: spread.max(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_every_minute_up_to_now() {
        let now: Timestamp = "2026-03-01T10:20:30Z".parse().unwrap();
        let number = now.as_second() / 3600;
        let mut hour = Hour::default();
        (hour.events[20], hour.events[21], hour.answers[0]) = (7, 9, 2);
        let hours = [(number - 1, Hour::default()), (number, hour)];
        let minutes = minutes(&hours, now, 1);
        assert_eq!(minutes.len(), 60);
        let at = |n: usize| minutes[n].start.map(|start| start.seconds).unwrap();
        assert_eq!(at(59), now.as_second() / 60 * 60);
        assert_eq!(at(0), at(59) - 59 * 60);
        assert_eq!((minutes[59].events, minutes[39].answers), (7, 2));
        assert_eq!(minutes.iter().map(|minute| minute.events).sum::<u64>(), 7);
    }

    #[test]
    fn a_period_is_of_a_bounded_length() {
        for (asked, length) in [
            (0, Some(30)),
            (1, Some(1)),
            (366, Some(366)),
            (367, None),
            (-1, None),
        ] {
            assert_eq!(super::length("days", asked, DAYS).ok(), length, "{asked}");
        }
    }
}
