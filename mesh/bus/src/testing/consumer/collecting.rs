//! Dead letters of all groups are collected without a configured list of topics.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    Delivery,
    consumer::{Collector, Host, RecordSink},
    testing::stage::{Stage, create, record},
};
use slipway_runtime::{
    clock::SystemClock,
    life::{Background, Health},
};

/// Fails once; then stores the values.
#[derive(Default)]
struct FlakySink {
    failed: Mutex<bool>,
    values: watch::Sender<Vec<String>>,
}

#[async_trait]
impl RecordSink for FlakySink {
    async fn store(&self, records: &[Delivery]) -> Result<(), String> {
        if !std::mem::replace(&mut *self.failed.lock(), true) {
            return Err("away".into());
        }
        let values = records.iter();
        let values = values.map(|d| String::from_utf8(d.record.value.to_vec()).unwrap());
        self.values.send_modify(|stored| stored.extend(values));
        Ok(())
    }
}

pub async fn records_are_collected_after_a_failure_and_from_new_topics(stage: &Stage) {
    let bus = stage.open();
    let sink = Arc::new(FlakySink::default());
    let host = Host {
        bus: bus.clone(),
        clock: Arc::new(SystemClock),
        background: Background::default(),
        health: Health::default(),
    };
    let collector = Collector {
        group: stage.name("collector").leak(),
        wants: |topic| topic.ends_with(".late.dlq"),
        sink: sink.clone(),
    };
    let mut known = collector.spawn(&host);
    known.wait_for(Option::is_some).await.unwrap();
    let topic = stage.name("x.late.dlq");
    create(&*bus, &topic, 1).await;
    // A broker may have such topics from earlier runs, which are collected too.
    let expected = ["1", "2"].map(|value| stage.name(value));
    let records = expected.each_ref().map(|value| record(&topic, "k", value));
    bus.publish(records.into()).await.unwrap();
    let mut values = sink.values.subscribe();
    let of_this = |values: &Vec<String>| {
        let values = values.iter().filter(|value| expected.contains(value));
        values.eq(&expected)
    };
    values.wait_for(of_this).await.unwrap();
    let has_it = |known: &Option<BTreeSet<String>>| known.iter().any(|all| all.contains(&topic));
    known.wait_for(has_it).await.unwrap();
}
