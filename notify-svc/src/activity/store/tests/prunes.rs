//! Which entries pruning deletes.

use jiff::{SignedDuration, Timestamp};

use super::{
    ActivityStore, activity, everything, lists::naively, log, now, numbered, person, read_on,
};
use crate::{
    activity::{Filter, store::Query},
    store::testing::on_each,
};

on_each!(ActivityStore:
    pruning_keeps_young_entries_and_the_newest
    the_sequence_continues_after_pruning
);

async fn pruning_keeps_young_entries_and_the_newest(open: impl Fn() -> ActivityStore) {
    let store = open();
    let later = now() + SignedDuration::from_hours(1);
    store.append(log(5), now()).await.unwrap();
    store.append(vec![activity(6)], later).await.unwrap();
    // Another replica's clock is behind: its entry looks older than the one before.
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

async fn the_sequence_continues_after_pruning(open: impl Fn() -> ActivityStore) {
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
