//! Storing delivery reports.

use std::sync::Arc;

use tokio::sync::Barrier;
use uuid::Uuid;

use super::{
    Opened, after, claim, notifications,
    outcomes::{attempt, outcome_event},
    settle,
};
use crate::{
    notification::{
        Confirmation, Confirmed, DeliveryReport, Notification, NotificationId, Outcome, State,
        store::NotificationStore,
    },
    store::testing::on_each,
};

on_each!(Opened:
    a_delivery_report_is_stored_with_its_events
    only_a_sent_notification_can_be_confirmed
    only_one_of_concurrent_reports_is_stored
);

/// The first of several notifications, sent.
async fn sent(store: &NotificationStore) -> Notification {
    store.enqueue(notifications(3)).await.unwrap();
    let claim = claim(after(1));
    let mut claimed = store.claim(&claim, 1).await.unwrap();
    let settled = claimed
        .remove(0)
        .settle(attempt(Outcome::Accepted), 0.0, after(50));
    let stored = settle(store, claim.id, &settled.notification, vec![]);
    assert!(stored.await);
    settled.notification
}

fn confirmed(notification: &Notification, arrival: DeliveryReport) -> Notification {
    let confirmation = Confirmation {
        id: notification.id,
        arrival,
        at: after(60),
        detail: format!("said {arrival:?} „ü“"),
    };
    let sent = Notification {
        state: State::Sent,
        ..notification.clone()
    };
    match sent.confirm(&confirmation, after(70)) {
        Confirmed::Changed(changed) => *changed,
        other => panic!("{other:?}"),
    }
}

async fn a_delivery_report_is_stored_with_its_events(open: impl Fn() -> Opened) {
    let Opened { store, outbox } = open();
    let sent = sent(&store).await;
    let back = confirmed(&sent, DeliveryReport::Bounced);
    let event = outcome_event(&back);
    assert!(store.confirm(&back, vec![event.clone()]).await.unwrap());
    assert_eq!(open().store.get(sent.id).await.unwrap(), Some(back.clone()));
    let key = event.key.parse().unwrap();
    let pending = outbox.pending(&[key], 10).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].record, event.to_record());

    let ids = [sent.id, NotificationId(Uuid::now_v7())];
    assert_eq!(store.mailed_as(&ids).await.unwrap(), [back]);
    assert!(store.mailed_as(&[]).await.unwrap().is_empty());
}

async fn only_a_sent_notification_can_be_confirmed(open: impl Fn() -> Opened) {
    let Opened { store, outbox } = open();
    let sent = sent(&store).await;
    let arrived = confirmed(&sent, DeliveryReport::Delivered);
    assert!(store.confirm(&arrived, vec![]).await.unwrap());
    let back = confirmed(&sent, DeliveryReport::Bounced);
    let late = store.confirm(&back, vec![outcome_event(&back)]);
    assert!(!late.await.unwrap(), "it has arrived");
    assert_eq!(store.get(sent.id).await.unwrap(), Some(arrived));

    // The second is claimed, the third is queued.
    let claim = claim(after(2));
    let sending = store.claim(&claim, 1).await.unwrap().remove(0);
    let waiting = notifications(3).pop().unwrap().event_id;
    let waiting = store.of_event(waiting).await.unwrap().remove(0);
    assert_eq!(
        (sending.state, waiting.state),
        (State::Sending, State::Queued)
    );
    for early in [&sending, &waiting] {
        let arrived = confirmed(early, DeliveryReport::Delivered);
        let stored = store.confirm(&arrived, vec![outcome_event(&arrived)]);
        assert!(!stored.await.unwrap(), "{:?}", early.state);
        assert_eq!(store.get(early.id).await.unwrap().as_ref(), Some(early));
    }
    let unknown = Notification {
        id: NotificationId(Uuid::now_v7()),
        ..confirmed(&sent, DeliveryReport::Delivered)
    };
    assert!(!store.confirm(&unknown, vec![]).await.unwrap());
    assert_eq!(outbox.count().await.unwrap(), 0, "no event is published");
}

async fn only_one_of_concurrent_reports_is_stored(open: impl Fn() -> Opened) {
    const RACERS: usize = 10;
    let sent = sent(&open().store).await;
    let barrier = Arc::new(Barrier::new(RACERS));
    let racing = (0..RACERS).map(|n| {
        let (store, barrier) = (open().store, barrier.clone());
        let arrival = match n % 2 {
            0 => DeliveryReport::Delivered,
            _ => DeliveryReport::Bounced,
        };
        let word = confirmed(&sent, arrival);
        tokio::spawn(async move {
            barrier.wait().await;
            let stored = store
                .confirm(&word, vec![outcome_event(&word)])
                .await
                .unwrap();
            stored.then_some(word)
        })
    });
    let stored: Vec<_> = futures::future::join_all(racing).await;
    let mut stored = stored.into_iter().filter_map(Result::unwrap);
    let first = stored.next().expect("one of them");
    assert!(stored.next().is_none(), "only one");
    let Opened { store, outbox } = open();
    assert_eq!(store.get(sent.id).await.unwrap(), Some(first));
    assert_eq!(outbox.count().await.unwrap(), 1);
}
