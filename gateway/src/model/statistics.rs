//! Statistics: time series about the work.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::notify::v1;
use utoipa::{IntoParams, ToSchema};

use super::{
    Malformed,
    activity::whole,
    proto::{self, required},
};
use crate::extract::parsed;

/// How durations are distributed. Percentiles are exact to about 10 percent. Without durations all
/// but `count` are `null`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Durations {
    count: u64,
    #[schema(required)]
    mean_ms: Option<u64>,
    #[schema(required)]
    median_ms: Option<u64>,
    #[schema(required)]
    p90_ms: Option<u64>,
    #[schema(required)]
    p99_ms: Option<u64>,
    #[schema(required)]
    max_ms: Option<u64>,
}

impl From<v1::Durations> for Durations {
    fn from(durations: v1::Durations) -> Self {
        Self {
            count: durations.count,
            mean_ms: durations.mean_ms,
            median_ms: durations.median_ms,
            p90_ms: durations.p90_ms,
            p99_ms: durations.p99_ms,
            max_ms: durations.max_ms,
        }
    }
}

/// What was worked on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Work {
    /// Tasks that were completed.
    completed: u64,
    /// Developers who started, paused or completed a task.
    active_developers: u64,
    /// Of the completed tasks: from creation to completion.
    lead_time: Durations,
    /// Of the completed tasks: the part of the lead time in which nobody worked on it.
    todo_time: Durations,
    /// Of the completed tasks: how long they were worked on.
    in_process_time: Durations,
}

impl TryFrom<v1::DayOfTasks> for Work {
    type Error = Malformed;

    fn try_from(day: v1::DayOfTasks) -> Result<Self, Malformed> {
        Ok(Self {
            completed: day.completed,
            active_developers: day.active_developers,
            lead_time: required("lead_time", day.lead_time)?.into(),
            todo_time: required("todo_time", day.todo_time)?.into(),
            in_process_time: required("in_process_time", day.in_process_time)?.into(),
        })
    }
}

/// One day, in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DayOfWork {
    /// For example `2026-03-01`.
    date: String,
    #[serde(flatten)]
    work: Work,
}

/// Tasks by the day of their completion.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskStatistics {
    /// Every day of the period, the oldest first.
    days: Vec<DayOfWork>,
    /// The whole period.
    total: Work,
}

impl TryFrom<v1::GetTaskStatisticsResponse> for TaskStatistics {
    type Error = Malformed;

    fn try_from(statistics: v1::GetTaskStatisticsResponse) -> Result<Self, Malformed> {
        let days = statistics.days.into_iter().map(|day| {
            Ok(DayOfWork {
                date: day.date.clone(),
                work: day.try_into()?,
            })
        });
        Ok(Self {
            days: days.collect::<Result<_, Malformed>>()?,
            total: required("total", statistics.total)?.try_into()?,
        })
    }
}

/// How much happened in a minute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Minute {
    /// Its beginning.
    time: Timestamp,
    count: u64,
}

/// The counts of minutes.
fn minutes(
    minutes: &[v1::MinuteOfTraffic],
    count: fn(&v1::MinuteOfTraffic) -> u64,
) -> Result<Vec<Minute>, Malformed> {
    let minutes = minutes.iter().map(|minute| {
        Ok(Minute {
            time: proto::time("start", minute.start)?,
            count: count(minute),
        })
    });
    minutes.collect()
}

/// Events by minute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventStatistics {
    /// Every minute of the period up to the current one, the oldest first: how many events are in the
    /// activity feed.
    minutes: Vec<Minute>,
}

impl TryFrom<v1::GetTrafficStatisticsResponse> for EventStatistics {
    type Error = Malformed;

    fn try_from(traffic: v1::GetTrafficStatisticsResponse) -> Result<Self, Malformed> {
        Ok(Self {
            minutes: minutes(&traffic.minutes, |minute| minute.events)?,
        })
    }
}

/// Answers of the assistant by minute.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssistantStatistics {
    /// Every minute of the period up to the current one, the oldest first: how many questions were
    /// answered.
    minutes: Vec<Minute>,
    /// How long the answers of these hours took, from the question to the end of the answer.
    answer_time: Durations,
}

impl TryFrom<v1::GetTrafficStatisticsResponse> for AssistantStatistics {
    type Error = Malformed;

    fn try_from(traffic: v1::GetTrafficStatisticsResponse) -> Result<Self, Malformed> {
        Ok(Self {
            minutes: minutes(&traffic.minutes, |minute| minute.answers)?,
            answer_time: required("answer_time", traffic.answer_time)?.into(),
        })
    }
}

/// A length of a period from 1 to `MOST`.
#[derive(Debug)]
struct Length<const MOST: i32>(i32);

impl<const MOST: i32> FromStr for Length<MOST> {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = whole(text).and_then(|number| i32::try_from(number).ok());
        let number = number.filter(|number| (1..=MOST).contains(number));
        number
            .map(Self)
            .ok_or("must be a whole number within its bounds, without a sign or leading zeros")
    }
}

/// The parameters of statistics by day.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DaysQuery {
    /// How many days up to today.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 366, default = 30)]
    days: Option<Length<366>>,
}

impl DaysQuery {
    /// The request.
    pub(crate) fn request(&self) -> v1::GetTaskStatisticsRequest {
        v1::GetTaskStatisticsRequest {
            days: self.days.as_ref().map_or(0, |days| days.0),
        }
    }
}

/// The parameters of statistics by minute.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HoursQuery {
    /// How many hours up to now.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 48, default = 1)]
    hours: Option<Length<48>>,
}

impl HoursQuery {
    /// The request.
    pub(crate) fn request(&self) -> v1::GetTrafficStatisticsRequest {
        v1::GetTrafficStatisticsRequest {
            hours: self.hours.as_ref().map_or(0, |hours| hours.0),
        }
    }
}
