//! Tests of the activity log on each database.

mod appends;
mod lists;
mod prunes;

use jiff::Timestamp;
use slipway_proto::events::UserRef;
use uuid::Uuid;

use super::{ActivityStore, Direction, Query};
use crate::activity::{Activity, Entry, Filter};

const TYPES: &[&str] = &[
    "task.started",
    "task.completed",
    "release.created",
    "user.registered",
    "tasks.archived",
];
const PATTERNS: &[&str] = &[
    "task.started",
    "release.created",
    "task.*",
    "user.*",
    "chat.*",
];

fn release(n: u128) -> Uuid {
    Uuid::from_u128(0xe1_0000 + n)
}

fn person(n: u128) -> Uuid {
    Uuid::from_u128(0xad_0000 + n)
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

/// The `n`-th activity of a log with mixed types, releases and users.
fn activity(n: u128) -> Activity {
    let actor = (!n.is_multiple_of(4)).then(|| UserRef {
        id: person(n % 3),
        username: format!("user {}", n % 3),
    });
    let concerns = match n % 5 {
        0 => vec![person(n % 3 + 1), person(7)],
        1 => vec![person(n % 3 + 1)],
        _ => vec![],
    };
    Activity {
        id: Uuid::from_u128(n),
        event_type: TYPES[(n * n % 5) as usize].to_owned(),
        time: now(),
        actor,
        subject: format!("subject {n}"),
        release_id: (!n.is_multiple_of(7)).then(|| release(n % 3)),
        summary: format!("“{n}” happened"),
        data: format!(r#"{{"n": {n}}}"#),
        concerns,
    }
}

pub(crate) fn log(length: u128) -> Vec<Activity> {
    (1..=length).map(activity).collect()
}

fn numbered(activities: Vec<Activity>) -> Vec<Entry> {
    (1..)
        .zip(activities)
        .map(|(sequence, activity)| Entry { sequence, activity })
        .collect()
}

/// A query with each combination of conditions, in both directions.
fn every_shape_of_query() -> Vec<Query> {
    let types = [
        vec![],
        vec!["task.started"],
        vec!["task.*"],
        PATTERNS.to_vec(),
    ];
    let mut queries = Vec::new();
    for types in types {
        for release_id in [None, Some(release(1))] {
            for person in [None, Some(person(1))] {
                for direction in [Direction::Ascending, Direction::Descending] {
                    let filter = Filter {
                        types: types.iter().map(|text| text.parse().unwrap()).collect(),
                        release_id,
                        person,
                    };
                    queries.push(Query {
                        filter,
                        direction,
                        ..Query::following(0, 50)
                    });
                }
            }
        }
    }
    queries
}

async fn everything(log: &ActivityStore) -> Vec<Entry> {
    read_on(log, Query::following(0, 1000)).await
}

/// All pages of a query, joined.
async fn read_on(log: &ActivityStore, query: Query) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut rest = query.clone();
    loop {
        let page = log.list(&rest).await.unwrap();
        assert!(page.entries.len() <= query.limit as usize);
        all.extend(page.entries);
        match page.next {
            Some(behind) => rest = query.clone().continued(behind),
            None => return all,
        }
    }
}
