//! Storing outcomes, and pruning.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::NotificationSentEvent;
use uuid::Uuid;

use super::{Opened, after, claim, notification, notifications, settle};
use crate::{
    notification::{Attempt, Notification, Outcome, State, store::Backlog},
    store::testing::on_each,
};

on_each!(Opened:
    an_outcome_is_stored_with_its_events
    an_outcome_without_a_claim_is_refused_and_leaves_nothing
    the_backlog_is_counted
    old_final_notifications_are_deleted
);

pub(super) fn outcome_event(notification: &Notification) -> Event {
    let payload = NotificationSentEvent {
        notification_id: notification.id.0,
        event_id: notification.event_id,
        notification_type: notification.kind.clone(),
        channel: "EMAIL".into(),
        recipient_id: notification.to.user(),
        attempts: 1,
        sent_at: after(50),
    };
    let origin = Origin {
        service: "notify-svc",
        key: notification.id.0,
        subject: notification.id.0,
        actor: &Actor::System,
        time: after(50),
    };
    Event::new(&payload, &origin)
}

pub(super) fn attempt(outcome: Outcome) -> Attempt {
    Attempt::new(after(40), Duration::from_millis(10), outcome, "an answer")
}

async fn an_outcome_is_stored_with_its_events(open: impl Fn() -> Opened) {
    let Opened { store, outbox } = open();
    store.enqueue(notifications(2)).await.unwrap();
    let claim = claim(after(30));
    let claimed = store.claim(&claim, 10).await.unwrap();
    let sent = claimed[0]
        .clone()
        .settle(attempt(Outcome::Accepted), 0.0, after(50));
    let event = outcome_event(&sent.notification);
    let stored = settle(&store, claim.id, &sent.notification, vec![event.clone()]);
    assert!(stored.await);
    let again = claimed[1]
        .clone()
        .settle(attempt(Outcome::Temporary), 0.0, after(50));
    let stored = settle(&store, claim.id, &again.notification, vec![]);
    assert!(stored.await);

    let read = open().store.get(claimed[0].id).await.unwrap();
    assert_eq!(read, Some(sent.notification));
    let read = open().store.get(claimed[1].id).await.unwrap();
    assert_eq!(read.as_ref(), Some(&again.notification));
    let pending = outbox
        .pending(&[event.key.parse().unwrap()], 10)
        .await
        .unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].record, event.to_record());
    outbox.remove(&pending).await.unwrap();
    assert_eq!(outbox.count().await.unwrap(), 0);

    let due = again.notification.due_at;
    assert!(
        store
            .claim(&self::claim(after(50)), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.claim(&self::claim(due), 10).await.unwrap().len(), 1);
}

async fn an_outcome_without_a_claim_is_refused_and_leaves_nothing(open: impl Fn() -> Opened) {
    let Opened { store, outbox } = open();
    store.enqueue(vec![notification(1)]).await.unwrap();
    let first = claim(after(30));
    let mine = store.claim(&first, 10).await.unwrap().remove(0);
    let settled = mine.settle(attempt(Outcome::Accepted), 0.0, after(50));
    let late = |claim| {
        settle(
            &store,
            claim,
            &settled.notification,
            vec![outcome_event(&settled.notification)],
        )
    };
    assert!(!late(Uuid::now_v7()).await, "not its claim");

    store.take_back(first.until, after(2000), 10).await.unwrap();
    assert!(!late(first.id).await, "taken back");
    let second = claim(after(2000));
    let theirs = store.claim(&second, 10).await.unwrap().remove(0);
    assert!(!late(first.id).await, "another's now");
    assert_eq!(outbox.count().await.unwrap(), 0);
    let sent = theirs.settle(attempt(Outcome::Accepted), 0.0, after(2050));
    let stored = settle(&store, second.id, &sent.notification, vec![]);
    assert!(stored.await);
    let read = store.get(sent.notification.id).await.unwrap();
    assert_eq!(read, Some(sent.notification.clone()));
    let twice = settle(&store, second.id, &sent.notification, vec![]);
    assert!(!twice.await, "the claim is used up");
}

async fn the_backlog_is_counted(open: impl Fn() -> Opened) {
    let store = open().store;
    assert_eq!(store.backlog(after(0)).await.unwrap(), Backlog::default());
    let mut queue = notifications(3);
    queue.push(notification(4).suppressed("off"));
    queue.push(notification(5).deferred(after(10_000)));
    store.enqueue(queue).await.unwrap();
    store.claim(&claim(after(1)), 1).await.unwrap();
    let backlog = store.backlog(after(100)).await.unwrap();
    assert_eq!(backlog.waiting, 4, "those being sent are waited for too");
    assert_eq!(backlog.oldest_due, Some(after(2)));
}

async fn old_final_notifications_are_deleted(open: impl Fn() -> Opened) {
    let store = open().store;
    let done = |n| notification(n).suppressed("off");
    let queue = vec![done(1), notification(2), done(3), done(4), done(5)];
    store.enqueue(queue.clone()).await.unwrap();
    assert_eq!(store.prune(Timestamp::UNIX_EPOCH, 10).await.unwrap(), 0);
    let before = after(5);
    assert_eq!(store.prune(before, 2).await.unwrap(), 2, "in small batches");
    assert_eq!(store.prune(before, 10).await.unwrap(), 1);
    assert_eq!(store.prune(before, 10).await.unwrap(), 0);
    for (n, kept) in queue.iter().zip([false, true, false, false, true]) {
        assert_eq!(store.get(n.id).await.unwrap().is_some(), kept);
    }
    let far = before + SignedDuration::from_hours(1);
    assert_eq!(store.prune(far, 10).await.unwrap(), 1);
    let waiting = store.get(queue[1].id).await.unwrap().unwrap();
    assert_eq!(waiting.state, State::Queued, "what waits is never deleted");
}
