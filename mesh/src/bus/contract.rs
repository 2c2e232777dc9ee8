//! What every adapter of the bus does: one suite, run on each of them by [`tests`].
//!
//! An adapter supplies a guard that owns its place and a way to open the bus there, also
//! again after all handles have been dropped.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt as _, future::join_all};

use super::{Bus, BusError, Delivery, Record, Subscription, TopicSpec};

/// Defines the suite for an adapter: `tests!({ (guard, open) })`.
macro_rules! tests {
    ($setup:block) => {
        $crate::bus::contract::tests!($setup:
            records_of_a_key_arrive_in_order
            every_group_gets_every_record
            a_group_goes_on_behind_what_it_committed
            members_share_the_partitions
            a_member_that_leaves_hands_over_what_it_did_not_commit
            a_waiting_member_is_woken
            topics_are_created_once_and_must_exist
            concurrent_publishers_lose_nothing
            a_commit_never_goes_back
        );
    };
    ($setup:block: $($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let (_guard, open) = $setup;
                $crate::bus::contract::$name(open).await;
            }
        )*
    };
}
pub(super) use tests;

pub(super) fn record(topic: &str, key: &str, value: &str) -> Record {
    Record {
        topic: topic.into(),
        key: key.into(),
        headers: vec![("ce_id".into(), format!("{key}-{value}"))],
        value: value.as_bytes().to_vec().into(),
    }
}

pub(super) async fn create(bus: &dyn Bus, topic: &str, partitions: u32) {
    let name = topic.into();
    bus.create_topics(&[TopicSpec { name, partitions }])
        .await
        .unwrap();
}

async fn subscribe(bus: &dyn Bus, group: &str) -> Box<dyn Subscription> {
    bus.subscribe(group, &["t".into()]).await.unwrap()
}

async fn take(subscription: &mut Box<dyn Subscription>, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(subscription.next(count - all.len()).await.unwrap());
    }
    all
}

fn values_by_key(deliveries: &[Delivery]) -> BTreeMap<String, Vec<String>> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for delivery in deliveries {
        values
            .entry(delivery.record.key.clone())
            .or_default()
            .push(String::from_utf8(delivery.record.value.to_vec()).unwrap());
    }
    values
}

pub(super) async fn records_of_a_key_arrive_in_order(open: impl Fn() -> Arc<dyn Bus>) {
    let bus = open();
    create(&*bus, "t", 4).await;
    let records: Vec<_> = (0..60)
        .map(|n| record("t", &format!("k{}", n % 6), &format!("{n:02}")))
        .collect();
    bus.publish(records.clone()).await.unwrap();
    let mut subscription = subscribe(&*bus, "g").await;
    let deliveries = take(&mut subscription, 60).await;
    for values in values_by_key(&deliveries).values() {
        assert_eq!(values.len(), 10);
        assert!(values.is_sorted(), "{values:?}");
    }
    let mut sent = records;
    let mut received: Vec<_> = deliveries.into_iter().map(|d| d.record).collect();
    sent.sort_by(|a, b| a.value.cmp(&b.value));
    received.sort_by(|a, b| a.value.cmp(&b.value));
    assert_eq!(
        received, sent,
        "keys, headers and values arrive as they were sent"
    );
}

pub(super) async fn every_group_gets_every_record(open: impl Fn() -> Arc<dyn Bus>) {
    let bus = open();
    create(&*bus, "t", 3).await;
    bus.publish(vec![record("t", "a", "1"), record("t", "b", "2")])
        .await
        .unwrap();
    for group in ["g1", "g2"] {
        let mut subscription = subscribe(&*bus, group).await;
        assert_eq!(take(&mut subscription, 2).await.len(), 2);
    }
}

pub(super) async fn a_group_goes_on_behind_what_it_committed(open: impl Fn() -> Arc<dyn Bus>) {
    let bus = open();
    create(&*bus, "t", 1).await;
    let records = (0..5).map(|n| record("t", "k", &n.to_string())).collect();
    bus.publish(records).await.unwrap();
    let mut subscription = subscribe(&*bus, "g").await;
    let first = take(&mut subscription, 2).await;
    subscription.commit(&first).await.unwrap();
    take(&mut subscription, 2).await;
    drop((subscription, bus));

    let bus = open();
    let mut subscription = subscribe(&*bus, "g").await;
    let rest = take(&mut subscription, 3).await;
    assert_eq!(values_by_key(&rest)["k"], ["2", "3", "4"]);
}

pub(super) async fn members_share_the_partitions(open: impl Fn() -> Arc<dyn Bus>) {
    let bus = open();
    create(&*bus, "t", 8).await;
    let (mut a, mut b) = (subscribe(&*bus, "g").await, subscribe(&*bus, "g").await);
    let records: Vec<_> = (0..64)
        .map(|n| record("t", &format!("k{n}"), "x"))
        .collect();
    bus.publish(records).await.unwrap();
    let mut seen: Vec<(u32, u64)> = Vec::new();
    let mut shares = [0, 0];
    while seen.len() < 64 {
        let (share, batch) = tokio::select! {
            batch = a.next(100) => (0, batch.unwrap()),
            batch = b.next(100) => (1, batch.unwrap()),
        };
        shares[share] += batch.len();
        seen.extend(batch.iter().map(|d| (d.partition, d.offset)));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 64, "no record went to both");
    assert!(shares[0] > 0 && shares[1] > 0, "{shares:?}");
}

pub(super) async fn a_member_that_leaves_hands_over_what_it_did_not_commit(
    open: impl Fn() -> Arc<dyn Bus>,
) {
    let bus = open();
    create(&*bus, "t", 1).await;
    let records = (0..3).map(|n| record("t", "k", &n.to_string())).collect();
    bus.publish(records).await.unwrap();
    let mut a = subscribe(&*bus, "g").await;
    let first = take(&mut a, 1).await;
    a.commit(&first).await.unwrap();
    take(&mut a, 2).await;
    let mut b = subscribe(&*bus, "g").await;
    drop(a);
    let rest = take(&mut b, 2).await;
    assert_eq!(values_by_key(&rest)["k"], ["1", "2"]);
}

pub(super) async fn a_waiting_member_is_woken(open: impl Fn() -> Arc<dyn Bus>) {
    let bus = open();
    create(&*bus, "t", 2).await;
    let mut subscription = subscribe(&*bus, "g").await;
    assert!(
        subscription.next(1).now_or_never().is_none(),
        "there is nothing yet"
    );
    let (batch, ()) = tokio::join!(subscription.next(10), async {
        bus.publish(vec![record("t", "k", "1")]).await.unwrap();
    });
    assert_eq!(batch.unwrap().len(), 1);
}

pub(super) async fn topics_are_created_once_and_must_exist(open: impl Fn() -> Arc<dyn Bus>) {
    let bus = open();
    create(&*bus, "t", 2).await;
    create(&*bus, "t", 2).await;
    let other = TopicSpec {
        name: "t".into(),
        partitions: 3,
    };
    assert!(matches!(
        bus.create_topics(&[other]).await,
        Err(BusError::Refused(_))
    ));
    let unknown = bus.publish(vec![record("u", "k", "1")]).await;
    assert!(matches!(unknown, Err(BusError::Refused(_))));
    let unknown = bus.subscribe("g", &["u".into()]).await;
    assert!(matches!(unknown.err(), Some(BusError::Refused(_))));
}

pub(super) async fn concurrent_publishers_lose_nothing(open: impl Fn() -> Arc<dyn Bus>) {
    let bus = open();
    create(&*bus, "t", 3).await;
    let publishers = (0..8).map(|publisher| {
        let bus = Arc::clone(&bus);
        async move {
            for n in 0..20 {
                let record = record("t", &format!("p{publisher}"), &format!("{n:02}"));
                bus.publish(vec![record]).await.unwrap();
            }
        }
    });
    let mut subscription = subscribe(&*bus, "g").await;
    let (deliveries, _) = tokio::join!(take(&mut subscription, 160), join_all(publishers));
    for values in values_by_key(&deliveries).values() {
        assert_eq!(values.len(), 20);
        assert!(values.is_sorted());
    }
}

pub(super) async fn a_commit_never_goes_back(open: impl Fn() -> Arc<dyn Bus>) {
    let bus = open();
    create(&*bus, "t", 1).await;
    let records = (0..3).map(|n| record("t", "k", &n.to_string())).collect();
    bus.publish(records).await.unwrap();
    let mut subscription = subscribe(&*bus, "g").await;
    let all = take(&mut subscription, 3).await;
    subscription.commit(&all[..2]).await.unwrap();
    subscription.commit(&all[..1]).await.unwrap();
    drop(subscription);
    let mut subscription = subscribe(&*bus, "g").await;
    let rest = take(&mut subscription, 1).await;
    assert_eq!(values_by_key(&rest)["k"], ["2"]);
}
