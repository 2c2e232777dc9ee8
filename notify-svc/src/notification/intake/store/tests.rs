//! Tests of the intake store on each database.

use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::Map;
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{NotificationRequestedEvent, UserRef};
use slipway_store::{
    Documents, Refusal,
    StoreError::Refused,
    outbox::OutboxStore,
    receipts::{Receipt, ReceiptKey, ReceiptStore},
};
use uuid::Uuid;

use super::{Acceptance, IntakeStore};
use crate::{
    notification::intake::{AcceptedEvent, QUOTA, WINDOW},
    store::{StoreError, testing::on_each},
};

on_each!(Opened:
    an_accepted_event_is_stored_with_its_event_and_its_receipt
    the_quota_is_per_sender_and_slides
    concurrent_events_do_not_exceed_the_quota
    only_one_of_concurrent_requests_with_one_key_is_stored
    old_published_events_are_deleted
);

/// The stores of one replica.
struct Opened {
    store: IntakeStore,
    outbox: Arc<dyn OutboxStore>,
    receipts: Arc<dyn ReceiptStore>,
}

impl Opened {
    fn new(documents: Documents) -> Self {
        Self {
            outbox: documents.outbox(),
            receipts: documents.receipts(),
            store: IntakeStore::new(documents),
        }
    }
}

fn after(millis: i64) -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse::<Timestamp>().unwrap() + SignedDuration::from_millis(millis)
}

fn user(n: u128) -> UserRef {
    UserRef {
        id: Uuid::from_u128(n),
        username: format!("user-{n}"),
    }
}

/// An event of sender `n` accepted at `at`, with its outbox event.
fn announced(n: u128, at: Timestamp) -> (AcceptedEvent, Event) {
    let requested = NotificationRequestedEvent {
        notification_type: "order-placed".to_owned(),
        recipients: vec![user(1), user(2)],
        requested_by: user(n),
        data: Map::new(),
    };
    let millis = u64::try_from(at.as_millisecond()).unwrap();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid();
    let origin = Origin {
        service: "notify-svc",
        key: id,
        subject: id,
        actor: &Actor::System,
        time: at,
    };
    let accepted = AcceptedEvent {
        id,
        kind: "order-placed".to_owned(),
        sender: user(n),
        recipients: vec![user(1), user(2)],
        at,
    };
    (accepted, Event::new(&requested, &origin))
}

fn receipt(key: &str, at: Timestamp) -> Receipt {
    Receipt {
        key: ReceiptKey(key.to_owned()),
        fingerprint: vec![1, 2],
        response: vec![3],
        at,
    }
}

async fn accept(store: &IntakeStore, n: u128, at: Timestamp) -> Acceptance {
    let (accepted, event) = announced(n, at);
    store.accept(&accepted, event, None).await.unwrap()
}

async fn an_accepted_event_is_stored_with_its_event_and_its_receipt(open: impl Fn() -> Opened) {
    let opened = open();
    let (accepted, event) = announced(7, after(0));
    let key = ReceiptKey("k".to_owned());
    let stored = opened
        .store
        .accept(&accepted, event.clone(), Some(receipt("k", after(0))))
        .await;
    assert_eq!(stored.unwrap(), Acceptance::Stored);
    let reopened = open();
    let found = reopened.store.get(accepted.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&accepted));
    assert_eq!(reopened.store.get(Uuid::nil()).await.unwrap(), None);
    let pending = reopened.outbox.pending(&[accepted.id], 9).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].record.value, event.data);
    let found = reopened.receipts.receipt(key, after(-1)).await.unwrap();
    assert_eq!(found, Some(receipt("k", after(0))));
}

async fn the_quota_is_per_sender_and_slides(open: impl Fn() -> Opened) {
    let store = open().store;
    for n in 0..QUOTA {
        let at = after(i64::try_from(n).unwrap() * 1000);
        assert_eq!(accept(&store, 7, at).await, Acceptance::Stored, "{n}");
    }
    let now = after(10_000);
    let wait = WINDOW - SignedDuration::from_secs(10);
    assert_eq!(accept(&store, 7, now).await, Acceptance::TooMany(wait));
    assert_eq!(accept(&store, 8, now).await, Acceptance::Stored);
    let times = store.latest(Uuid::from_u128(7)).await.unwrap();
    let expected: Vec<_> = (0..10).rev().map(|n| after(n * 1000)).collect();
    assert_eq!(times, expected);
    let first_is_over = after(0) + WINDOW;
    assert_eq!(accept(&store, 7, first_is_over).await, Acceptance::Stored);
    let wait = SignedDuration::from_secs(1);
    let again = accept(&store, 7, first_is_over).await;
    assert_eq!(again, Acceptance::TooMany(wait));
}

async fn concurrent_events_do_not_exceed_the_quota(open: impl Fn() -> Opened) {
    let stores = [open().store, open().store];
    let racing = (0..QUOTA * 3).map(|n| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move { accept(&store, 7, after(0)).await })
    });
    let outcomes = join_all(racing).await;
    let stored = outcomes
        .into_iter()
        .filter(|outcome| *outcome.as_ref().unwrap() == Acceptance::Stored);
    assert_eq!(stored.count(), QUOTA);
}

async fn only_one_of_concurrent_requests_with_one_key_is_stored(open: impl Fn() -> Opened) {
    let opened = [open(), open()];
    let racing = (0..6).map(|n| {
        let store = opened[n % 2].store.clone();
        tokio::spawn(async move {
            let (accepted, event) = announced(7, after(0));
            let receipt = Some(receipt("k", after(0)));
            store.accept(&accepted, event, receipt).await
        })
    });
    let outcomes = join_all(racing).await;
    let (mut stored, mut repeated) = (0, 0);
    for outcome in outcomes {
        match outcome.unwrap() {
            Ok(Acceptance::Stored) => stored += 1,
            Err(StoreError::Database(Refused(Refusal::Receipt))) => repeated += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((stored, repeated), (1, 5));
    assert_eq!(opened[0].outbox.count().await.unwrap(), 1);
}

async fn old_published_events_are_deleted(open: impl Fn() -> Opened) {
    let Opened { store, outbox, .. } = open();
    let mut ids = Vec::new();
    for n in 0..3 {
        let (accepted, event) = announced(7, after(n));
        store.accept(&accepted, event, None).await.unwrap();
        ids.push(accepted.id);
    }
    let pending = outbox.pending(&ids, 9).await.unwrap();
    outbox.remove(&pending).await.unwrap();
    assert_eq!(store.prune(after(2), 1).await.unwrap(), 1);
    assert_eq!(store.prune(after(2), 9).await.unwrap(), 1);
    assert_eq!(store.get(ids[1]).await.unwrap(), None);
    assert!(store.get(ids[2]).await.unwrap().is_some());
}
