//! The broker fails and returns: nothing is lost, and the records of a key stay in order.

use std::{collections::BTreeMap, sync::Arc};

use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Answer};

use super::Mock;
use slipway_bus::{
    Delivery, SharedBus,
    testing::stage::{Stage, take},
};

/// A mock cluster and a stage on it.
fn mock_and_stage() -> (Mock, Stage) {
    let mock = Mock::new();
    let on = mock.clone();
    (mock, Stage::new("", (), move || Arc::new(on.bus())))
}

/// Publishes like the outbox: repeats the same batch until it is acknowledged. Returns the number
/// of failed attempts.
async fn publish_until_acknowledged(bus: &SharedBus, stage: &Stage, numbers: &[u32]) -> u32 {
    let mut failures = 0;
    loop {
        let records = numbers
            .iter()
            .map(|n| stage.record(&format!("k{}", n % 5), &format!("{n:04}")))
            .collect();
        match bus.publish(records).await {
            Ok(()) => return failures,
            Err(_) => failures += 1,
        }
    }
}

/// The values of each key in the order in which they first arrived.
fn first_arrivals(deliveries: &[Delivery]) -> BTreeMap<&str, Vec<&[u8]>> {
    let mut arrivals: BTreeMap<_, Vec<&[u8]>> = BTreeMap::new();
    for delivery in deliveries {
        let values = arrivals.entry(&*delivery.record.key).or_default();
        if !values.contains(&&delivery.record.value[..]) {
            values.push(&delivery.record.value);
        }
    }
    arrivals
}

/// Reads from the beginning until each of the first `count` numbers has arrived.
async fn read(bus: &SharedBus, stage: &Stage, count: usize) -> Vec<Delivery> {
    let mut reader = stage.subscribe(bus, "reader").await;
    let mut all = Vec::new();
    while first_arrivals(&all).values().map(Vec::len).sum::<usize>() < count {
        all.extend(reader.next(100).await.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_published_while_the_broker_is_down_arrive_in_order() {
    let (mock, stage) = mock_and_stage();
    let bus = stage.open();
    stage.create(&bus, 3).await;
    let numbers: Vec<u32> = (0..200).collect();
    assert_eq!(
        publish_until_acknowledged(&bus, &stage, &numbers[..50]).await,
        0
    );

    mock.cluster().broker_down(1).unwrap();
    let publishing = publish_until_acknowledged(&bus, &stage, &numbers[50..100]);
    tokio::pin!(publishing);
    let refused = tokio::select! {
        _ = &mut publishing => panic!("there is no broker"),
        refused = bus.publish(vec![stage.record("other", "x")]) => refused,
    };
    refused.unwrap_err();
    bus.check().await.unwrap_err();
    mock.cluster().broker_up(1).unwrap();
    assert!(publishing.await > 0, "it was told that the broker was away");

    publish_until_acknowledged(&bus, &stage, &numbers[100..]).await;
    bus.check().await.unwrap();
    let deliveries = read(&bus, &stage, 200).await;
    for values in first_arrivals(&deliveries).values() {
        assert!(values.is_sorted());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_and_broken_requests_neither_lose_nor_reorder() {
    let (mock, stage) = mock_and_stage();
    let bus = stage.open();
    stage.create(&bus, 3).await;
    let numbers: Vec<u32> = (0..100).collect();
    for batch in numbers.chunks(10) {
        mock.cluster().request_errors(
            Api::Produce,
            &[
                Answer::RD_KAFKA_RESP_ERR__TRANSPORT,
                Answer::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            ],
        );
        publish_until_acknowledged(&bus, &stage, batch).await;
    }
    let deliveries = read(&bus, &stage, 100).await;
    for values in first_arrivals(&deliveries).values() {
        assert!(values.is_sorted());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_continues_when_the_broker_is_back() {
    let (mock, stage) = mock_and_stage();
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let mut member = stage.subscribe(&bus, "g").await;
    publish_until_acknowledged(&bus, &stage, &[0, 1, 2]).await;
    let first = take(&mut member, 3).await;
    member.commit(&first).await.unwrap();

    mock.cluster().broker_down(1).unwrap();
    bus.publish(vec![stage.record("k", "x")]).await.unwrap_err();
    mock.cluster().broker_up(1).unwrap();

    publish_until_acknowledged(&bus, &stage, &[3, 4, 5]).await;
    let mut values: Vec<_> = take(&mut member, 3)
        .await
        .into_iter()
        .map(|delivery| delivery.record.value)
        .collect();
    values.dedup();
    assert!(values.is_sorted(), "{values:?}");
    assert!(
        values[0] >= "0003",
        "what was committed does not come again"
    );
}
