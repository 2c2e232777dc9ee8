//! Tests of positions on each database.

use futures::future::try_join_all;

use super::*;
use crate::{notification::NotificationId, store::testing::on_each};

on_each!(ReadingStore:
    a_position_is_kept_for_each_user
    of_concurrent_positions_the_greatest_stays
);

fn at(sequence: u64) -> Position {
    Position {
        sequence,
        notification: Some(NotificationId(Uuid::from_u128(sequence.into()))),
    }
}

async fn a_position_is_kept_for_each_user(open: impl Fn() -> ReadingStore) {
    let (store, ada, bob) = (open(), Uuid::from_u128(1), Uuid::from_u128(2));
    assert_eq!(store.of(ada).await.unwrap(), Position::default());
    assert_eq!(store.advance(ada, at(7)).await.unwrap(), at(7));
    assert_eq!(
        store.advance(ada, at(3)).await.unwrap(),
        at(7),
        "never back"
    );
    assert_eq!(open().of(ada).await.unwrap(), at(7));
    assert_eq!(open().of(bob).await.unwrap(), Position::default());
}

async fn of_concurrent_positions_the_greatest_stays(open: impl Fn() -> ReadingStore) {
    let (replicas, ada) = ([open(), open()], Uuid::from_u128(1));
    let moves = (1..=12).map(|n| {
        // Not in their order.
        let sequence = n * 7 % 13;
        replicas[usize::try_from(n % 2).unwrap()].advance(ada, at(sequence))
    });
    let reached = try_join_all(moves).await.unwrap();
    assert!(reached.contains(&at(12)));
    assert_eq!(open().of(ada).await.unwrap(), at(12));
}
