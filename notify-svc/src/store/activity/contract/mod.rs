//! What every backend of the activity log does: one suite, run on each by [`tests`].
//!
//! A backend supplies a guard that owns its place and a way to open the log there; what
//! is opened several times is one log.

pub(super) mod appends;
pub(super) mod lists;
pub(super) mod prunes;

use std::sync::Arc;

use jiff::Timestamp;
use slipway_proto::events::UserRef;
use uuid::Uuid;

use super::{ActivityStore, Direction, Query};
use crate::activity::{Activity, Entry, Filter};

/// Defines the suite for a backend: `tests!({ (guard, open) })`.
macro_rules! tests {
    ($setup:block) => {
        $crate::store::activity::contract::tests!($setup:
            appends::entries_are_numbered_from_one_in_order
            appends::an_entry_is_read_as_it_was_written
            appends::an_event_is_logged_once
            appends::writers_that_race_leave_no_gap_and_no_repeat
            appends::a_redelivery_that_races_has_no_effect
            appends::an_empty_log_has_no_ends
            lists::filters_select_what_a_naive_reader_would
            lists::a_page_has_a_weight
            lists::a_combination_that_hardly_matches_takes_its_time_in_pages
            lists::bounds_beyond_the_log_are_no_error
            prunes::pruning_keeps_what_is_young_and_the_newest
            prunes::the_sequence_goes_on_after_pruning
        );
    };
    ($setup:block: $($module:ident::$name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (_guard, open) = $setup;
                $crate::store::activity::contract::$module::$name(open).await;
            }
        )*
    };
}
pub(super) use tests;

type Log = Arc<dyn ActivityStore>;

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

/// The `n`-th activity of a log in which types, releases and people mix.
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
pub(super) fn every_shape_of_query() -> Vec<Query> {
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

async fn everything(log: &Log) -> Vec<Entry> {
    read_on(log, Query::following(0, 1000)).await
}

/// All pages of a query, joined.
async fn read_on(log: &Log, query: Query) -> Vec<Entry> {
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
