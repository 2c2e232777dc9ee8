//! Tests of the tally store on each database.

use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Barrier;
use uuid::Uuid;

use super::TallyStore;
use crate::{
    notification::{Tally, gathering::Counted},
    store::testing::on_each,
};

on_each!(TallyStore:
    a_tally_survives_a_round_trip
    of_those_who_change_it_at_the_same_moment_one_does
    old_tallies_are_deleted
);

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
    start + SignedDuration::from_secs(seconds)
}

/// New tallies; the `n`-th was changed `n` seconds after the start.
fn tallies(count: i64) -> Vec<Tally> {
    let tally = |n| Tally {
        revision: 1,
        mails: vec![Counted {
            id: Uuid::now_v7(),
            at: at(n),
        }],
        gathers_until: (n % 2 == 0).then(|| at(n + 60)),
        changed_at: at(n),
        ..Tally::new(format!("ops@example.com „{n}“ release:x"))
    };
    (1..=count).map(tally).collect()
}

/// Changes that store these tallies for the first time.
fn new(tallies: &[Tally]) -> Vec<(Tally, Tally)> {
    let none = |tally: &Tally| Tally::new(tally.key.clone());
    tallies
        .iter()
        .map(|tally| (none(tally), tally.clone()))
        .collect()
}

fn keys(tallies: &[Tally]) -> Vec<String> {
    tallies.iter().map(|tally| tally.key.clone()).collect()
}

async fn found(store: &TallyStore, keys: &[String]) -> Vec<Tally> {
    let mut found = store.find(keys).await.unwrap();
    found.sort_by_key(|tally| tally.changed_at);
    found
}

async fn a_tally_survives_a_round_trip(open: impl Fn() -> TallyStore) {
    let store = open();
    let written = tallies(3);
    assert!(store.save(&new(&written)).await.unwrap());
    assert_eq!(found(&store, &keys(&written)).await, written);
    assert!(store.find(&["nobody".to_owned()]).await.unwrap().is_empty());
    assert!(store.find(&[]).await.unwrap().is_empty());

    let mut next = written.clone();
    next[1].revision = 2;
    next[1].mails.push(Counted {
        id: Uuid::nil(),
        at: at(9),
    });
    next[1].gathers_until = None;
    assert!(
        store
            .save(&[(written[1].clone(), next[1].clone())])
            .await
            .unwrap()
    );
    assert_eq!(found(&store, &keys(&written)).await, next);
}

async fn of_those_who_change_it_at_the_same_moment_one_does(open: impl Fn() -> TallyStore) {
    let store = open();
    const RACERS: usize = 8;
    // The first round inserts the tally, the second changes it.
    let mut before = Tally::new("one".to_owned());
    for _ in 0..2 {
        let barrier = Arc::new(Barrier::new(RACERS));
        let racing = (0..RACERS).map(|_| {
            let (store, barrier, before) = (store.clone(), barrier.clone(), before.clone());
            tokio::spawn(async move {
                let mut mine = before.clone();
                mine.revision += 1;
                mine.mails.push(Counted {
                    id: Uuid::now_v7(),
                    at: at(1),
                });
                barrier.wait().await;
                let saved = store.save(&[(before, mine.clone())]).await.unwrap();
                saved.then_some(mine)
            })
        });
        let saved = join_all(racing).await;
        let mut saved = saved.into_iter().filter_map(Result::unwrap);
        let first = saved.next().expect("one of them");
        assert!(saved.next().is_none(), "only one");
        before = first;
        let stored = found(&store, &["one".to_owned()]).await;
        assert_eq!(stored, std::slice::from_ref(&before));
    }
}

async fn old_tallies_are_deleted(open: impl Fn() -> TallyStore) {
    let store = open();
    let all = tallies(5);
    store.save(&new(&all)).await.unwrap();
    assert_eq!(store.prune(at(1), 10).await.unwrap(), 0);
    assert_eq!(store.prune(at(4), 2).await.unwrap(), 2, "in small batches");
    assert_eq!(store.prune(at(4), 10).await.unwrap(), 1);
    assert_eq!(found(&store, &keys(&all)).await, all[3..]);
}
