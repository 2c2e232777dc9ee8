//! Chaining of entries, also with concurrent writers.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::Barrier;

use super::{AuditStore, entries, entry, whole};
use crate::{
    audit::{Head, chain::tests::chain},
    store::{sequence::Appended, testing::on_each},
};

on_each!(AuditStore:
    entries_are_chained_in_order
    an_event_is_recorded_once
    an_empty_trail_has_the_head_of_no_chain
    concurrent_writers_write_one_chain
    a_concurrent_redelivery_has_no_effect
);

async fn entries_are_chained_in_order(open: impl Fn() -> AuditStore) {
    let store = open();
    let appended = store.append(entries(7)).await.unwrap();
    assert_eq!((appended.count, appended.newest), (7, 7));
    let more = (8..=20).map(entry).collect();
    open().append(more).await.unwrap();
    assert_eq!(whole(&store).await, chain(20));
}

async fn an_event_is_recorded_once(open: impl Fn() -> AuditStore) {
    let store = open();
    let twice = [entries(3), entries(2)].concat();
    let (count, newest) = (3, 3);
    assert_eq!(
        store.append(twice).await.unwrap(),
        Appended { count, newest }
    );
    let (count, newest) = (2, 5);
    assert_eq!(
        store.append(entries(5)).await.unwrap(),
        Appended { count, newest }
    );
    assert_eq!(whole(&store).await, chain(5));
}

async fn an_empty_trail_has_the_head_of_no_chain(open: impl Fn() -> AuditStore) {
    assert_eq!(open().head().await.unwrap(), Head::none());
    assert_eq!(open().append(vec![]).await.unwrap().newest, 0);
}

async fn concurrent_writers_write_one_chain(open: impl Fn() -> AuditStore) {
    let barrier = Arc::new(Barrier::new(4));
    let writers = (0..4_u128).map(|writer| {
        let (store, barrier) = (open(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            for batch in 0..10 {
                let first = writer * 1000 + batch * 3;
                let entries = (first..first + 3).map(entry).collect();
                assert_eq!(store.append(entries).await.unwrap().count, 3);
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(whole(&open()).await.len(), 120);
}

async fn a_concurrent_redelivery_has_no_effect(open: impl Fn() -> AuditStore) {
    let barrier = Arc::new(Barrier::new(4));
    let writers = (0..4).map(|_| {
        let (store, barrier) = (open(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            for batch in entries(30).chunks(5) {
                store.append(batch.to_vec()).await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(whole(&open()).await, chain(30));
}
