//! What every backend of the activity log does: one suite, run on each by [`tests`].
//!
//! A backend supplies a guard that owns its place and a way to open the log there; what
//! is opened several times is one log.

use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use slipway_proto::events::UserRef;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{ActivityStore, Appended, Direction, EXAMINED, PAGE_WEIGHT, Page, Query};
use crate::activity::{Activity, Entry, Filter, TypePattern};

/// Defines the suite for a backend: `tests!({ (guard, open) })`.
macro_rules! tests {
    ($setup:block) => {
        $crate::store::contract::tests!($setup:
            entries_are_numbered_from_one_in_order
            an_entry_is_read_as_it_was_written
            an_event_is_logged_once
            writers_that_race_leave_no_gap_and_no_repeat
            a_redelivery_that_races_has_no_effect
            an_empty_log_has_no_ends
            filters_select_what_a_naive_reader_would
            a_page_has_a_weight
            a_combination_that_hardly_matches_takes_its_time_in_pages
            bounds_beyond_the_log_are_no_error
            pruning_keeps_what_is_young_and_the_newest
            the_sequence_goes_on_after_pruning
        );
    };
    ($setup:block: $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (_guard, open) = $setup;
                $crate::store::contract::$name(open).await;
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

fn contiguous(entries: &[Entry]) -> bool {
    (1..)
        .zip(entries)
        .all(|(sequence, entry)| entry.sequence == sequence)
}

pub(super) async fn entries_are_numbered_from_one_in_order(open: impl Fn() -> Log) {
    let store = open();
    let (count, newest) = (3, 3);
    assert_eq!(
        store.append(log(3), now()).await.unwrap(),
        Appended { count, newest }
    );
    let more = vec![activity(5), activity(4)];
    let (count, newest) = (2, 5);
    assert_eq!(
        store.append(more, now()).await.unwrap(),
        Appended { count, newest }
    );
    let order = [1, 2, 3, 5, 4].map(activity).to_vec();
    assert_eq!(everything(&store).await, numbered(order));
    assert_eq!(store.newest().await.unwrap(), 5);
}

pub(super) async fn an_entry_is_read_as_it_was_written(open: impl Fn() -> Log) {
    let odd = Activity {
        event_type: "no family".into(),
        subject: String::new(),
        summary: "„ü“ \0 \u{1F680}".into(),
        data: "null".into(),
        ..activity(4)
    };
    let written = [log(3), vec![odd]].concat();
    open().append(written.clone(), now()).await.unwrap();
    assert_eq!(everything(&open()).await, numbered(written));
}

pub(super) async fn an_event_is_logged_once(open: impl Fn() -> Log) {
    let store = open();
    let twice = vec![activity(1), activity(1), activity(2), activity(1)];
    let (count, newest) = (2, 2);
    assert_eq!(
        store.append(twice, now()).await.unwrap(),
        Appended { count, newest }
    );
    let overlapping = vec![activity(2), activity(3), activity(1)];
    let (count, newest) = (1, 3);
    assert_eq!(
        store.append(overlapping, now()).await.unwrap(),
        Appended { count, newest }
    );
    let (count, newest) = (0, 3);
    assert_eq!(
        store.append(log(3), now()).await.unwrap(),
        Appended { count, newest }
    );
    assert_eq!(everything(&store).await, numbered(log(3)));
}

pub(super) async fn writers_that_race_leave_no_gap_and_no_repeat(open: impl Fn() -> Log) {
    let barrier = Arc::new(Barrier::new(4));
    let writers = (0..4_u128).map(|writer| {
        let (store, barrier) = (open(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            for batch in 0..10 {
                let first = writer * 1000 + batch * 3;
                let activities = (first..first + 3).map(activity).collect();
                let appended = store.append(activities, now()).await.unwrap();
                assert_eq!(appended.count, 3);
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let entries = everything(&open()).await;
    assert_eq!(entries.len(), 120);
    assert!(contiguous(&entries), "{entries:?}");
    for writer in 0..4 {
        let own: Vec<_> = entries
            .iter()
            .map(|entry| entry.activity.id.as_u128())
            .filter(|id| id / 1000 == writer)
            .collect();
        assert_eq!(own.len(), 30);
        assert!(own.is_sorted(), "a writer's order is kept: {own:?}");
    }
}

pub(super) async fn a_redelivery_that_races_has_no_effect(open: impl Fn() -> Log) {
    let barrier = Arc::new(Barrier::new(4));
    let writers = (0..4).map(|_| {
        let (store, barrier) = (open(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            for batch in log(30).chunks(5) {
                store.append(batch.to_vec(), now()).await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(everything(&open()).await, numbered(log(30)));
}

pub(super) async fn an_empty_log_has_no_ends(open: impl Fn() -> Log) {
    let store = open();
    let empty = Page {
        entries: vec![],
        next: None,
        oldest: 0,
        newest: 0,
    };
    assert_eq!(store.list(&Query::following(0, 10)).await.unwrap(), empty);
    assert_eq!(store.newest().await.unwrap(), 0);
    let (count, newest) = (0, 0);
    assert_eq!(
        store.append(vec![], now()).await.unwrap(),
        Appended { count, newest }
    );
    assert_eq!(store.prune(Timestamp::MAX, 10).await.unwrap(), 0);
}

fn queries() -> impl Strategy<Value = Query> {
    let types = prop::collection::vec(prop::sample::select(PATTERNS), 0..4);
    let release_id = prop::option::of((0..4_u128).prop_map(release));
    let person = prop::option::of((0..9_u128).prop_map(person));
    let before = prop_oneof![Just(u64::MAX), 0..170_u64];
    let direction = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    let filter = (types, release_id, person).prop_map(|(types, release_id, person)| Filter {
        types: types
            .into_iter()
            .map(|text| text.parse().unwrap())
            .collect(),
        release_id,
        person,
    });
    (filter, 0..170_u64, before, direction, 1..40_u32).prop_map(
        |(filter, after, before, direction, limit)| Query {
            filter,
            after,
            before,
            direction,
            limit,
        },
    )
}

/// Reads everything and looks at each entry.
fn naively(entries: &[Entry], query: &Query) -> Vec<Entry> {
    let wanted = |entry: &&Entry| {
        let Entry { sequence, activity } = entry;
        let type_fits = |wanted: &TypePattern| match wanted {
            TypePattern::Exact(event_type) => activity.event_type == *event_type,
            TypePattern::Family(family) => activity.event_type.starts_with(&format!("{family}.")),
        };
        let Filter {
            types,
            release_id,
            person,
        } = &query.filter;
        *sequence > query.after
            && *sequence < query.before
            && (types.is_empty() || types.iter().any(type_fits))
            && release_id.is_none_or(|id| activity.release_id == Some(id))
            && person.is_none_or(|id| {
                activity.actor.as_ref().is_some_and(|actor| actor.id == id)
                    || activity.concerns.contains(&id)
            })
    };
    let mut found: Vec<_> = entries.iter().filter(wanted).cloned().collect();
    if query.direction == Direction::Descending {
        found.reverse();
    }
    found
}

pub(super) async fn filters_select_what_a_naive_reader_would(open: impl Fn() -> Log) {
    let store = open();
    let entries = numbered(log(150));
    store.append(log(150), now()).await.unwrap();
    let mut runner = TestRunner::deterministic();
    let sampled = (0..300).map(|_| queries().new_tree(&mut runner).unwrap().current());
    for query in every_shape_of_query().into_iter().chain(sampled) {
        let expected = naively(&entries, &query);
        let page = store.list(&query).await.unwrap();
        assert_eq!((page.oldest, page.newest), (1, 150));
        assert_eq!(
            page.next.is_some(),
            expected.len() > page.entries.len(),
            "the last page is known as such: {query:?}"
        );
        assert_eq!(read_on(&store, query.clone()).await, expected, "{query:?}");
    }
}

pub(super) async fn a_page_has_a_weight(open: impl Fn() -> Log) {
    let store = open();
    let heavy: Vec<_> = (1..=10)
        .map(|n| Activity {
            data: format!("\"{}\"", "x".repeat(PAGE_WEIGHT / 4)),
            ..activity(n)
        })
        .collect();
    store.append(heavy.clone(), now()).await.unwrap();
    let query = Query::following(0, 1000);
    let page = store.list(&query).await.unwrap();
    assert!((1..10).contains(&page.entries.len()));
    assert_eq!(read_on(&store, query).await, numbered(heavy));
}

pub(super) async fn a_combination_that_hardly_matches_takes_its_time_in_pages(
    open: impl Fn() -> Log,
) {
    let store = open();
    let many: Vec<_> = (1..=EXAMINED as u128 + 20)
        .map(|n| Activity {
            release_id: Some(release(1)),
            event_type: "task.started".into(),
            ..activity(n)
        })
        .collect();
    let rare = Activity {
        event_type: "release.created".into(),
        ..many[EXAMINED + 9].clone()
    };
    let mut log = many;
    log[EXAMINED + 9] = rare.clone();
    store.append(log, now()).await.unwrap();
    let query = Query {
        filter: Filter {
            types: vec!["release.created".parse().unwrap()],
            release_id: rare.release_id,
            person: None,
        },
        ..Query::following(0, 10)
    };
    let page = store.list(&query).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (0, Some(EXAMINED as u64)));
    let found = read_on(&store, query).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].activity, rare);
}

pub(super) async fn bounds_beyond_the_log_are_no_error(open: impl Fn() -> Log) {
    let store = open();
    store.append(log(3), now()).await.unwrap();
    for after in [3, 4, u64::MAX] {
        let page = store.list(&Query::following(after, 10)).await.unwrap();
        assert_eq!((page.entries.len(), page.next, page.newest), (0, None, 3));
    }
    let nothing = Query {
        before: 0,
        ..Query::following(0, 10)
    };
    assert!(store.list(&nothing).await.unwrap().entries.is_empty());
}

pub(super) async fn pruning_keeps_what_is_young_and_the_newest(open: impl Fn() -> Log) {
    let store = open();
    let later = now() + SignedDuration::from_hours(1);
    store.append(log(5), now()).await.unwrap();
    store.append(vec![activity(6)], later).await.unwrap();
    // The clock of another replica is behind: its entry looks older than the one before.
    store.append(vec![activity(7)], now()).await.unwrap();
    store.append(vec![activity(8)], later).await.unwrap();

    assert_eq!(store.prune(now(), 10).await.unwrap(), 0, "none is older");
    assert_eq!(store.prune(later, 2).await.unwrap(), 2, "in small batches");
    assert_eq!(
        store.prune(later, 10).await.unwrap(),
        3,
        "a prefix, no hole"
    );
    assert_eq!(everything(&store).await, numbered(log(8))[5..]);

    assert_eq!(store.prune(Timestamp::MAX, 10).await.unwrap(), 2);
    assert_eq!(store.prune(Timestamp::MAX, 10).await.unwrap(), 0);
    let page = store.list(&Query::following(0, 10)).await.unwrap();
    assert_eq!((page.oldest, page.newest, page.entries.len()), (8, 8, 1));
}

pub(super) async fn the_sequence_goes_on_after_pruning(open: impl Fn() -> Log) {
    let store = open();
    store.append(log(4), now()).await.unwrap();
    store.prune(Timestamp::MAX, 10).await.unwrap();
    drop(store);
    let store = open();
    store.append(vec![activity(5)], now()).await.unwrap();
    assert_eq!(everything(&store).await, numbered(log(5))[3..]);
    for person in (0..9).map(person) {
        let mine = Query {
            filter: Filter {
                person: Some(person),
                ..Filter::default()
            },
            ..Query::following(0, 10)
        };
        let expected = naively(&numbered(log(5))[3..], &mine);
        assert_eq!(read_on(&store, mine).await, expected);
    }
}
