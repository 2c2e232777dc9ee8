//! Recurrences of tasks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::release::v1;
use utoipa::ToSchema;

use super::{Id, Malformed, proto};

/// How a task recurs. When it is completed, the next occurrence of its series is added, with the same
/// title, description, assignee, tags, priority, reminder and recurrence.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Recurrence {
    /// The value of an RRULE of RFC 5545.
    rule: String,
    /// The time zone in which its days and times of day are.
    time_zone: String,
    /// Id of the release that gets the next occurrence once all tasks of this one are completed;
    /// `null` if there is none.
    #[schema(required)]
    release_id: Option<Id>,
    /// When the first task of the series was due.
    starts_at: Timestamp,
}

impl TryFrom<v1::Recurrence> for Recurrence {
    type Error = Malformed;

    fn try_from(recurrence: v1::Recurrence) -> Result<Self, Malformed> {
        let release = Some(recurrence.release_id).filter(|id| !id.is_empty());
        let release = release.map(|id| proto::id("recurrence's release_id", &id));
        Ok(Self {
            rule: recurrence.rule,
            time_zone: recurrence.time_zone,
            release_id: release.transpose()?,
            starts_at: proto::time("starts_at", recurrence.starts_at)?,
        })
    }
}

/// How a task shall recur. It needs `dueAt`, at which the series starts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"rule": "FREQ=WEEKLY;BYDAY=MO", "timeZone": "Europe/Berlin"}))]
pub(super) struct NewRecurrence {
    /// The value of an RRULE of RFC 5545, with `FREQ` from `DAILY` to `YEARLY` and without `BYHOUR`,
    /// `BYMINUTE` and `BYSECOND`. The series must have a second date.
    #[schema(min_length = 1, max_length = 255)]
    rule: String,
    /// The name of an IANA time zone. Left out: `UTC`.
    time_zone: Option<String>,
    /// Id of another release, which gets the next occurrence once all tasks of this one are
    /// completed; if it is not open then, the series ends. Left out: the next occurrence is added to
    /// this release while it is open.
    release_id: Option<Id>,
}

impl From<NewRecurrence> for v1::NewRecurrence {
    fn from(recurrence: NewRecurrence) -> Self {
        let release = recurrence.release_id;
        Self {
            rule: recurrence.rule,
            time_zone: recurrence.time_zone.unwrap_or_default(),
            release_id: release.map(|id| id.to_string()).unwrap_or_default(),
        }
    }
}
