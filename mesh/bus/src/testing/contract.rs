//! The contract of the bus: one suite, run on every adapter.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt as _, future::join_all};

use crate::{
    BusError, Delivery, MAX_EVENT, Outcome, Record,
    testing::stage::{Stage, record, take},
};

/// Runs the suite on a stage.
#[macro_export]
macro_rules! bus_contract {
    ($stage:block) => {
        $crate::run_suite!($crate::testing::contract {
            records_of_a_key_arrive_in_order
            every_group_gets_every_record
            a_group_continues_after_its_committed_offset
            members_share_the_partitions
            uncommitted_records_of_a_leaving_member_go_to_the_others
            a_waiting_member_is_woken
            topics_are_created_once_and_must_exist
            topics_are_listed_once_they_exist
            concurrent_publishers_lose_nothing
            a_commit_never_moves_the_offset_back
            an_event_of_the_largest_size_is_delivered
            a_refused_record_does_not_block_other_keys
        } on $stage);
    };
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

pub async fn records_of_a_key_arrive_in_order(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 4).await;
    let records: Vec<_> = (0..60)
        .map(|n| stage.record(&format!("k{}", n % 6), &format!("{n:02}")))
        .collect();
    bus.publish(records.clone()).await.unwrap();
    let mut subscription = stage.subscribe(&bus, "g").await;
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

pub async fn topics_are_listed_once_they_exist(stage: &Stage) {
    let bus = stage.open();
    let name = stage.name("t");
    assert!(!bus.topics().await.unwrap().contains(&name));
    stage.create(&bus, 3).await;
    let listed = bus.topics().await.unwrap();
    let times = listed.iter().filter(|listed| **listed == name).count();
    assert_eq!(times, 1, "{listed:?}");
}

pub async fn every_group_gets_every_record(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 3).await;
    bus.publish(vec![stage.record("a", "1"), stage.record("b", "2")])
        .await
        .unwrap();
    for group in ["g1", "g2"] {
        let mut subscription = stage.subscribe(&bus, group).await;
        assert_eq!(take(&mut subscription, 2).await.len(), 2);
    }
}

pub async fn a_group_continues_after_its_committed_offset(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let records = (0..5).map(|n| stage.record("k", &n.to_string())).collect();
    bus.publish(records).await.unwrap();
    let mut subscription = stage.subscribe(&bus, "g").await;
    let first = take(&mut subscription, 2).await;
    subscription.commit(&first).await.unwrap();
    take(&mut subscription, 2).await;
    drop((subscription, bus));

    let bus = stage.open();
    let mut subscription = stage.subscribe(&bus, "g").await;
    let rest = take(&mut subscription, 3).await;
    assert_eq!(values_by_key(&rest)["k"], ["2", "3", "4"]);
}

pub async fn members_share_the_partitions(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 8).await;
    let mut a = stage.subscribe(&bus, "g").await;
    let mut b = stage.subscribe(&bus, "g").await;
    // The first member may have all partitions for a while: repeat until both have a share.
    let mut shares = [0, 0];
    for round in 0.. {
        let keys: Vec<_> = (0..64).map(|n| format!("{round}-{n}")).collect();
        let records = keys.iter().map(|key| stage.record(key, "x")).collect();
        bus.publish(records).await.unwrap();
        let settled = shares[0] > 0 && shares[1] > 0;
        let mut seen = BTreeMap::new();
        while seen.len() < keys.len() {
            let (member, batch) = tokio::select! {
                batch = a.next(100) => (0, batch.unwrap()),
                batch = b.next(100) => (1, batch.unwrap()),
            };
            shares[member] += batch.len();
            for delivery in &batch {
                if keys.contains(&delivery.record.key) {
                    *seen.entry(delivery.record.key.clone()).or_insert(0) += 1;
                }
            }
            [&mut a, &mut b][member].commit(&batch).await.unwrap();
        }
        if settled {
            assert!(seen.values().all(|times| *times == 1), "{seen:?}");
            return;
        }
    }
}

pub async fn uncommitted_records_of_a_leaving_member_go_to_the_others(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let records = (0..3).map(|n| stage.record("k", &n.to_string())).collect();
    bus.publish(records).await.unwrap();
    let mut a = stage.subscribe(&bus, "g").await;
    let first = take(&mut a, 1).await;
    a.commit(&first).await.unwrap();
    take(&mut a, 2).await;
    let mut b = stage.subscribe(&bus, "g").await;
    drop(a);
    let rest = take(&mut b, 2).await;
    assert_eq!(values_by_key(&rest)["k"], ["1", "2"]);
}

pub async fn a_waiting_member_is_woken(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 2).await;
    let mut subscription = stage.subscribe(&bus, "g").await;
    assert!(
        subscription.next(1).now_or_never().is_none(),
        "there is nothing yet"
    );
    let (batch, ()) = tokio::join!(subscription.next(10), async {
        bus.publish(vec![stage.record("k", "1")]).await.unwrap();
    });
    assert_eq!(batch.unwrap().len(), 1);
}

pub async fn topics_are_created_once_and_must_exist(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 2).await;
    stage.create(&bus, 2).await;
    let refused = bus.create_topics(&[stage.spec(3)]).await;
    assert!(matches!(refused, Err(BusError::Refused(_))), "{refused:?}");
    let unknown = stage.name("u");
    let refused = bus.publish(vec![record(&unknown, "k", "1")]).await;
    let refused = refused.map_err(BusError::from);
    assert!(matches!(refused, Err(BusError::Refused(_))), "{refused:?}");
    let refused = bus.subscribe(&stage.name("g"), &[unknown]).await.err();
    assert!(matches!(refused, Some(BusError::Refused(_))), "{refused:?}");
}

pub async fn concurrent_publishers_lose_nothing(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 3).await;
    let publishers = (0..8).map(|publisher| {
        let bus = Arc::clone(&bus);
        async move {
            for n in 0..20 {
                let record = stage.record(&format!("p{publisher}"), &format!("{n:02}"));
                bus.publish(vec![record]).await.unwrap();
            }
        }
    });
    let mut subscription = stage.subscribe(&bus, "g").await;
    let (deliveries, _) = tokio::join!(take(&mut subscription, 160), join_all(publishers));
    for values in values_by_key(&deliveries).values() {
        assert_eq!(values.len(), 20);
        assert!(values.is_sorted());
    }
}

pub async fn a_commit_never_moves_the_offset_back(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let records = (0..3).map(|n| stage.record("k", &n.to_string())).collect();
    bus.publish(records).await.unwrap();
    let mut subscription = stage.subscribe(&bus, "g").await;
    let all = take(&mut subscription, 3).await;
    subscription.commit(&all[..2]).await.unwrap();
    subscription.commit(&all[..1]).await.unwrap();
    drop(subscription);
    let mut subscription = stage.subscribe(&bus, "g").await;
    let rest = take(&mut subscription, 1).await;
    assert_eq!(values_by_key(&rest)["k"], ["2"]);
}

/// A record of this size that does not compress.
pub fn record_of_size(stage: &Stage, key: &str, size: usize) -> Record {
    let mut record = stage.record(key, "");
    let mut value = vec![0; size - record.size()];
    rand::fill(&mut value[..]);
    record.value = value.into();
    record
}

pub async fn an_event_of_the_largest_size_is_delivered(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let record = record_of_size(stage, "k", MAX_EVENT);
    bus.publish(vec![record.clone()]).await.unwrap();
    let mut subscription = stage.subscribe(&bus, "g").await;
    assert_eq!(take(&mut subscription, 1).await[0].record, record);
}

pub async fn a_refused_record_does_not_block_other_keys(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let unknown = stage.name("u");
    let records = vec![
        stage.record("a", "1"),
        record(&unknown, "a", "on no topic"),
        stage.record("b", "1"),
        record(&unknown, "a", "behind it"),
        stage.record("a", "2"),
    ];
    let outcomes = bus.publish(records).await.unwrap_err().outcomes();
    let refused = |outcome: &Outcome| matches!(outcome, Err(BusError::Refused(_)));
    for (n, outcome) in outcomes.iter().enumerate() {
        assert!(outcome.is_ok() || refused(outcome), "{outcome:?}");
        assert_eq!(refused(outcome), [1, 3].contains(&n), "{outcomes:?}");
    }
    bus.publish(vec![stage.record("b", "2")]).await.unwrap();
    let mut subscription = stage.subscribe(&bus, "g").await;
    let values = values_by_key(&take(&mut subscription, 4).await);
    assert_eq!(values["a"], ["1", "2"]);
    assert_eq!(values["b"], ["1", "2"]);
}
