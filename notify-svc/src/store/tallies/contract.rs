//! What every backend of the tallies does: one suite, run on each by [`tests`].

use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Barrier;
use uuid::Uuid;

use super::TallyStore;
use crate::notification::{Tally, gathering::Counted};

/// Defines the suite for a backend: `tests!({ (guard, store) })`.
macro_rules! tests {
    ($setup:block) => {
        $crate::store::tallies::contract::tests!($setup:
            a_tally_is_read_as_it_was_written
            of_those_who_change_it_at_the_same_moment_one_does
            what_has_not_changed_for_long_is_deleted
        );
    };
    ($setup:block: $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (_guard, store) = $setup;
                $crate::store::tallies::contract::$name(store).await;
            }
        )*
    };
}
pub(super) use tests;

pub(super) fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
    start + SignedDuration::from_secs(seconds)
}

/// New ones; the `n`-th has changed `n` seconds after the start.
pub(super) fn tallies(count: i64) -> Vec<Tally> {
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

fn keys(tallies: &[Tally]) -> Vec<String> {
    tallies.iter().map(|tally| tally.key.clone()).collect()
}

async fn found(store: &dyn TallyStore, keys: &[String]) -> Vec<Tally> {
    let mut found = store.find(keys).await.unwrap();
    found.sort_by_key(|tally| tally.changed_at);
    found
}

pub(super) async fn a_tally_is_read_as_it_was_written(store: Arc<dyn TallyStore>) {
    let written = tallies(3);
    assert!(store.save(written.clone()).await.unwrap());
    assert_eq!(found(&*store, &keys(&written)).await, written);
    assert!(store.find(&["nobody".to_owned()]).await.unwrap().is_empty());
    assert!(store.find(&[]).await.unwrap().is_empty());

    let mut next = written.clone();
    next[1].revision = 2;
    next[1].mails.push(Counted {
        id: Uuid::nil(),
        at: at(9),
    });
    next[1].gathers_until = None;
    assert!(store.save(vec![next[1].clone()]).await.unwrap());
    assert_eq!(found(&*store, &keys(&written)).await, next);
}

pub(super) async fn of_those_who_change_it_at_the_same_moment_one_does(store: Arc<dyn TallyStore>) {
    const RACERS: usize = 8;
    // First they make it, then they change it.
    for revision in [1, 2] {
        let barrier = Arc::new(Barrier::new(RACERS));
        let racing = (0..RACERS).map(|_| {
            let (store, barrier) = (store.clone(), barrier.clone());
            tokio::spawn(async move {
                let mut mine = tallies(1);
                mine[0].revision = revision;
                barrier.wait().await;
                store.save(mine.clone()).await.unwrap().then_some(mine)
            })
        });
        let saved = join_all(racing).await;
        let mut saved = saved.into_iter().filter_map(Result::unwrap);
        let first = saved.next().expect("one of them");
        assert!(saved.next().is_none(), "only one");
        assert_eq!(found(&*store, &keys(&first)).await, first);
    }
}

pub(super) async fn what_has_not_changed_for_long_is_deleted(store: Arc<dyn TallyStore>) {
    let all = tallies(5);
    store.save(all.clone()).await.unwrap();
    assert_eq!(store.prune(at(1), 10).await.unwrap(), 0);
    assert_eq!(store.prune(at(4), 2).await.unwrap(), 2, "in small batches");
    assert_eq!(store.prune(at(4), 10).await.unwrap(), 1);
    assert_eq!(found(&*store, &keys(&all)).await, all[3..]);
}
