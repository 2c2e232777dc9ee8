//! Statistics for everybody: tasks by day, events and answers of the assistant by minute.
//!
//! They are counters in buckets, folded from two logs: the activity feed, and the log of answers.
//! Both have each event once, numbered 1, 2, 3, … without gaps. A bucket remembers the number up to
//! which it was folded, in the same document as its counters. So an entry that is folded again, by
//! another replica or after a crash, changes nothing: it is not behind that number. The position
//! up to which everything is folded is stored after the buckets, and only saves reading.
//!
//! Days and hours are those of UTC, by the time at which an event happened.

pub(crate) mod answers;
pub(crate) mod jobs;
pub(crate) mod service;
mod spread;
pub mod store;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use slipway_proto::events::{EventData, TaskCompletedEvent, TaskData};
use uuid::Uuid;

pub use spread::Spread;

use crate::activity;

/// Minutes of an hour.
const MINUTES: usize = 60;

/// Something that counts, with its number in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its number.
    pub number: u64,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub what: What,
}

/// What counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An event in the activity feed.
    Event,
    /// The same, of a developer who works.
    Work {
        /// The owner of the task.
        developer: Uuid,
        /// If the task was completed: how long that took.
        completed: Option<Took>,
    },
    /// An answer of the assistant, and its latency in milliseconds.
    Answer(u64),
}

/// How long a completed task took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// From its creation to its completion.
    pub lead: u64,
    /// Of that, how long it was worked on.
    pub in_process: u64,
}

impl Fact {
    /// What an entry of the activity feed counts as. Its payload is of any version: one that cannot
    /// be read counts as an event.
    #[must_use]
    pub fn of(entry: &activity::Entry) -> Self {
        let activity = &entry.activity;
        let data = EventData::read(&activity.event_type, None, activity.data.as_bytes());
        let work = |task: &TaskData, completed| What::Work {
            developer: task.assignee.id,
            completed,
        };
        let what = match data {
            Ok(EventData::TaskStarted(event)) => work(&event.task, None),
            Ok(EventData::TaskPaused(event)) => work(&event.task, None),
            Ok(EventData::TaskCompleted(event)) => {
                work(&event.task, Some(took(&event, activity.time)))
            }
            _ => What::Event,
        };
        Self {
            number: entry.sequence,
            time: activity.time,
            what,
        }
    }
}

fn took(event: &TaskCompletedEvent, time: Timestamp) -> Took {
    let end = event.task.completed_at.unwrap_or(time);
    let lead = end.as_millisecond() - event.task.created_at.as_millisecond();
    let lead = u64::try_from(lead).unwrap_or(0);
    let in_process = u64::try_from(event.duration_ms).unwrap_or(0);
    Took {
        lead,
        in_process: in_process.min(lead),
    }
}

/// What was worked on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Day {
    /// The number of the last entry of the activity feed in it.
    pub through: u64,
    /// The owners of tasks that were started, paused or completed.
    pub developers: BTreeSet<Uuid>,
    /// Of the completed tasks: from creation to completion.
    pub lead: Spread,
    /// Of that, how long nobody worked on them.
    pub todo: Spread,
    /// And how long somebody did.
    pub in_process: Spread,
}

impl Day {
    /// Adds the facts that are not in it, in the order of their numbers.
    pub fn fold(&mut self, facts: &[Fact]) {
        for fact in facts.iter().filter(|fact| fact.number > self.through) {
            let What::Work {
                developer,
                completed,
            } = fact.what
            else {
                continue;
            };
            self.developers.insert(developer);
            if let Some(Took { lead, in_process }) = completed {
                self.lead.add(lead);
                self.todo.add(lead - in_process);
                self.in_process.add(in_process);
            }
        }
        let last = facts.last().map_or(0, |fact| fact.number);
        self.through = self.through.max(last);
    }

    /// Adds another day.
    pub fn join(&mut self, other: &Self) {
        self.developers.extend(&other.developers);
        self.lead.join(&other.lead);
        self.todo.join(&other.todo);
        self.in_process.join(&other.in_process);
    }
}

/// The traffic of one hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hour {
    /// The number of the last entry of the activity feed in it.
    pub through: u64,
    /// The number of the last answer in it.
    pub answers_through: u64,
    /// Events of each minute.
    pub events: Vec<u32>,
    /// Answers of each minute.
    pub answers: Vec<u32>,
    /// How long the answers took.
    pub answer_time: Spread,
}

impl Default for Hour {
    fn default() -> Self {
        Self {
            through: 0,
            answers_through: 0,
            events: vec![0; MINUTES],
            answers: vec![0; MINUTES],
            answer_time: Spread::default(),
        }
    }
}

impl Hour {
    /// Adds the facts that are not in it, in the order of their numbers. All are of one log.
    pub fn fold(&mut self, facts: &[Fact]) {
        for fact in facts {
            let minute = (fact.time.as_second().rem_euclid(3600) / 60) as usize;
            let (through, counts) = match fact.what {
                What::Answer(_) => (&mut self.answers_through, &mut self.answers),
                What::Event | What::Work { .. } => (&mut self.through, &mut self.events),
            };
            if fact.number <= *through {
                continue;
            }
            *through = fact.number;
            if let Some(count) = counts.get_mut(minute) {
                *count = count.saturating_add(1);
            }
            if let What::Answer(took) = fact.what {
                self.answer_time.add(took);
            }
        }
    }
}

/// The day of a time.
#[must_use]
pub fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// The number of the hour of a time, since 1970.
#[must_use]
pub fn hour_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(3600)
}

/// The facts of each bucket, in order.
#[must_use]
pub fn by_bucket<K: Ord>(
    facts: &[Fact],
    bucket: impl Fn(Timestamp) -> K,
) -> BTreeMap<K, Vec<Fact>> {
    let mut buckets = BTreeMap::<K, Vec<Fact>>::new();
    for fact in facts {
        buckets
            .entry(bucket(fact.time))
            .or_default()
            .push(fact.clone());
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn completed(number: u64, developer: u128, lead: u64) -> Fact {
        Fact {
            number,
            time: at("2026-03-01T10:59:59.9Z"),
            what: What::Work {
                developer: Uuid::from_u128(developer),
                completed: Some(Took {
                    lead,
                    in_process: lead / 4,
                }),
            },
        }
    }

    #[test]
    fn facts_that_are_folded_again_change_nothing() {
        let facts = [
            completed(3, 1, 8_000),
            completed(5, 2, 4_000),
            completed(9, 1, 100),
        ];
        let mut day = Day::default();
        day.fold(&facts[..2]);
        assert_eq!((day.through, day.lead.count()), (5, 2));
        // Another replica starts before, and comes further.
        day.fold(&facts);
        day.fold(&facts[..1]);
        assert_eq!(
            (day.through, day.lead.count(), day.developers.len()),
            (9, 3, 2)
        );
        assert_eq!(day.lead.mean(), Some(4_033));
        assert_eq!(day.todo.mean(), Some(3_025));
        assert_eq!(day.in_process.mean(), Some(1_008));
        let mut hour = Hour::default();
        hour.fold(&facts);
        hour.fold(&facts);
        assert_eq!((hour.events[59], hour.events.iter().sum::<u32>()), (3, 3));
    }

    #[test]
    fn the_two_logs_of_an_hour_are_counted_apart() {
        let answer = |number| Fact {
            number,
            time: at("2026-03-01T10:00:00Z"),
            what: What::Answer(250),
        };
        let mut hour = Hour::default();
        hour.fold(&[completed(70, 1, 1)]);
        hour.fold(&[answer(1), answer(2)]);
        hour.fold(&[answer(2), answer(3)]);
        assert_eq!((hour.through, hour.answers_through), (70, 3));
        assert_eq!((hour.answers[0], hour.events[59]), (3, 1));
        assert_eq!(hour.answer_time.count(), 3);
    }

    #[test]
    fn a_fact_is_in_the_day_and_the_hour_of_its_time() {
        let facts = [
            completed(1, 1, 1),
            Fact {
                time: at("2026-03-02T00:00:00Z"),
                ..completed(2, 1, 1)
            },
        ];
        let days = by_bucket(&facts, day_of);
        assert_eq!(
            days.keys().map(Date::to_string).collect::<Vec<_>>(),
            ["2026-03-01", "2026-03-02"]
        );
        let hours: Vec<_> = by_bucket(&facts, hour_of).into_keys().collect();
        assert_eq!(hours[1] - hours[0], 14);
        assert_eq!(hour_of(at("1969-12-31T23:59:59Z")), -1);
    }

    #[test]
    fn a_completed_task_tells_how_long_it_took() {
        let data = serde_json::json!({
            "task": {
                "id": Uuid::from_u128(1), "releaseId": Uuid::from_u128(2), "releaseName": "r",
                "title": "t", "description": "", "orderIndex": 1, "status": "COMPLETED",
                "assignee": {"id": Uuid::from_u128(7), "username": "ada"}, "hotfix": false,
                "createdAt": "2026-03-01T10:00:00Z", "startedAt": "2026-03-01T10:00:30Z",
                "completedAt": "2026-03-01T10:01:00Z",
            },
            "durationMs": 30_000,
        });
        let activity = activity::Activity {
            id: Uuid::from_u128(9),
            event_type: "task.completed".into(),
            time: at("2026-03-01T10:01:00Z"),
            actor: None,
            subject: String::new(),
            release_id: None,
            summary: String::new(),
            data: data.to_string(),
            concerns: Vec::new(),
        };
        let fact = |activity| {
            Fact::of(&activity::Entry {
                sequence: 4,
                activity,
            })
            .what
        };
        let took = Took {
            lead: 60_000,
            in_process: 30_000,
        };
        let expected = What::Work {
            developer: Uuid::from_u128(7),
            completed: Some(took),
        };
        assert_eq!(fact(activity.clone()), expected);
        let unreadable = activity::Activity {
            data: "null".into(),
            ..activity
        };
        assert_eq!(fact(unreadable), What::Event);
    }
}
