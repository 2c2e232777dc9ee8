//! Queueing and claiming, also by concurrent processes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Barrier;

use super::{Opened, after, claim, notification, notifications, start};
use crate::{
    notification::{Attempt, Notification, Outcome, State, store::Claim},
    store::testing::on_each,
};

on_each!(Opened:
    a_notification_is_stored_once_for_each_event_and_recipient
    a_notification_survives_a_round_trip
    only_due_notifications_are_claimed
    concurrent_claims_share_the_queue
    concurrent_writers_store_each_once
    an_expired_claim_is_requeued_with_an_interrupted_attempt
    concurrent_replicas_requeue_each_claim_once
);

async fn a_notification_is_stored_once_for_each_event_and_recipient(open: impl Fn() -> Opened) {
    let store = open().store;
    let first = notification(1);
    let other = Notification {
        id: notification(2).id,
        to: notification(2).to,
        ..first.clone()
    };
    let again = Notification {
        id: notification(3).id,
        ..first.clone()
    };
    let all = vec![first.clone(), other.clone(), again.clone()];
    assert_eq!(store.enqueue(all.clone()).await.unwrap(), 2);
    assert_eq!(store.enqueue(all).await.unwrap(), 0);
    assert_eq!(store.enqueue(vec![]).await.unwrap(), 0);
    assert_eq!(store.get(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.get(other.id).await.unwrap(), Some(other.clone()));
    assert_eq!(store.get(again.id).await.unwrap(), None);
    let mut of_event = store.of_event(first.event_id).await.unwrap();
    of_event.sort_by_key(|notification| notification.id);
    assert_eq!(of_event, [first, other]);
}

async fn a_notification_survives_a_round_trip(open: impl Fn() -> Opened) {
    let attempt =
        |outcome, answer: &str| Attempt::new(after(5), Duration::from_millis(7), outcome, answer);
    let tried = Notification {
        attempts: vec![
            attempt(Outcome::Temporary, "451 4.3.0 „later“ \0"),
            attempt(Outcome::Unreachable, ""),
        ],
        ..notification(4)
    };
    let written = vec![
        notification(1).suppressed("quiet hours"),
        notification(2).deferred(Timestamp::from_second(4_000_000_000).unwrap()),
        tried,
    ];
    open().store.enqueue(written.clone()).await.unwrap();
    for notification in written {
        let read = open().store.get(notification.id).await.unwrap();
        assert_eq!(read, Some(notification));
    }
}

async fn only_due_notifications_are_claimed(open: impl Fn() -> Opened) {
    let store = open().store;
    let mut queue = notifications(5);
    queue.push(notification(6).suppressed("off"));
    queue.reverse();
    store.enqueue(queue).await.unwrap();

    let nothing = store.claim(&claim(start()), 10).await.unwrap();
    assert!(nothing.is_empty(), "none is due yet: {nothing:?}");
    let two = store.claim(&claim(after(3)), 2).await.unwrap();
    let ids: Vec<_> = two.iter().map(|n| n.id).collect();
    assert_eq!(two.len(), 2);
    assert!(ids.is_sorted(), "the longest due comes first");
    assert_eq!(two[0].event_id, notification(1).event_id);
    assert!(
        two.iter()
            .all(|n| n.state == State::Sending && n.updated_at == after(3))
    );

    let third = store.claim(&claim(after(3)), 10).await.unwrap();
    assert_eq!(third.len(), 1, "what is claimed is not claimed again");
    let rest = store.claim(&claim(after(100)), 10).await.unwrap();
    assert_eq!(rest.len(), 2, "what is suppressed is never claimed");
    assert!(
        store
            .claim(&claim(after(100)), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn concurrent_claims_share_the_queue(open: impl Fn() -> Opened) {
    open().store.enqueue(notifications(120)).await.unwrap();
    let barrier = Arc::new(Barrier::new(4));
    let claimers = (0..4).map(|_| {
        let (store, barrier) = (open().store, Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            let mut mine = Vec::new();
            // A claim that finds nothing may have competed with others for the same notifications.
            for _ in 0..60 {
                mine.extend(store.claim(&claim(after(1000)), 7).await.unwrap());
            }
            mine
        })
    });
    let mut all = Vec::new();
    for claimer in join_all(claimers).await {
        all.extend(claimer.unwrap().into_iter().map(|n| n.id));
    }
    assert_eq!(all.len(), 120);
    let distinct: BTreeSet<_> = all.into_iter().collect();
    assert_eq!(distinct.len(), 120, "none was claimed twice");
}

async fn concurrent_writers_store_each_once(open: impl Fn() -> Opened) {
    let barrier = Arc::new(Barrier::new(4));
    let makers = (0..4).map(|_| {
        let (store, barrier) = (open().store, Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            let mut made = 0;
            for batch in notifications(60).chunks(6) {
                made += store.enqueue(batch.to_vec()).await.unwrap();
            }
            made
        })
    });
    let made: usize = join_all(makers).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(made, 60);
    let queued = open().store.claim(&claim(after(1000)), 500).await.unwrap();
    assert_eq!(queued.len(), 60);
}

async fn an_expired_claim_is_requeued_with_an_interrupted_attempt(open: impl Fn() -> Opened) {
    let store = open().store;
    store.enqueue(notifications(3)).await.unwrap();
    let claimed = claim(after(2));
    let mine = store.claim(&claimed, 10).await.unwrap();
    assert_eq!(mine.len(), 2);
    let before_end = claimed.until - SignedDuration::from_millis(1);
    let taken = store.take_back(before_end, before_end, 10).await.unwrap();
    assert_eq!(taken, 0, "nobody takes what another is sending");

    let later = after(60_000);
    assert_eq!(store.take_back(claimed.until, later, 1).await.unwrap(), 1);
    assert_eq!(store.take_back(claimed.until, later, 10).await.unwrap(), 1);
    assert_eq!(store.take_back(later, later, 10).await.unwrap(), 0);
    for id in mine.iter().map(|n| n.id) {
        let back = store.get(id).await.unwrap().unwrap();
        assert_eq!((back.state, back.due_at), (State::Queued, later));
        assert_eq!(back.attempts, [Attempt::interrupted(later)]);
    }
    let again = store.claim(&claim(later), 10).await.unwrap();
    assert_eq!(again.len(), 3);
}

async fn concurrent_replicas_requeue_each_claim_once(open: impl Fn() -> Opened) {
    let (queue, later) = (notifications(50), after(60_000));
    open().store.enqueue(queue.clone()).await.unwrap();
    let all = Claim {
        until: later,
        ..claim(after(1000))
    };
    assert_eq!(open().store.claim(&all, 500).await.unwrap().len(), 50);
    let barrier = Arc::new(Barrier::new(4));
    let takers = (0..4).map(|_| {
        let (store, barrier) = (open().store, Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            store.take_back(later, later, 500).await.unwrap()
        })
    });
    let taken: usize = join_all(takers).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(taken, 50);
    for notification in queue {
        let back = open().store.get(notification.id).await.unwrap().unwrap();
        assert_eq!(back.attempts.len(), 1);
    }
}
