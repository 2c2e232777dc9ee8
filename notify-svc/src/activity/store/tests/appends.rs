//! Numbering of entries, also with concurrent writers.

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::Barrier;

use super::{ActivityStore, activity, everything, log, now, numbered};
use crate::{
    activity::{
        Activity, Entry,
        store::{Appended, Page, Query},
    },
    store::testing::on_each,
};

on_each!(ActivityStore:
    entries_are_numbered_from_one_in_order
    an_entry_survives_a_round_trip
    an_event_is_logged_once
    concurrent_writers_leave_no_gap_and_no_duplicate
    a_concurrent_redelivery_has_no_effect
    an_empty_log_has_neither_oldest_nor_newest
);

async fn entries_are_numbered_from_one_in_order(open: impl Fn() -> ActivityStore) {
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

async fn an_entry_survives_a_round_trip(open: impl Fn() -> ActivityStore) {
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

async fn an_event_is_logged_once(open: impl Fn() -> ActivityStore) {
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

async fn concurrent_writers_leave_no_gap_and_no_duplicate(open: impl Fn() -> ActivityStore) {
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

async fn a_concurrent_redelivery_has_no_effect(open: impl Fn() -> ActivityStore) {
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

async fn an_empty_log_has_neither_oldest_nor_newest(open: impl Fn() -> ActivityStore) {
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

fn contiguous(entries: &[Entry]) -> bool {
    (1..)
        .zip(entries)
        .all(|(sequence, entry)| entry.sequence == sequence)
}
