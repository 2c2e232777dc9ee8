//! A group that does not get on says so.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use super::play::Play;
use crate::{
    Bus, BusError, Record, SharedBus, Subscription, TopicSpec, Unpublished,
    consumer::{Order, dead_letter_topic},
    testing::stage::Stage,
};
use slipway_runtime::{
    life::{Check, Problem},
    testing::until,
};

/// What the group is found to fail of, when it is found to fail.
async fn problem(play: &Play<'_>) -> String {
    let found = until(async || {
        let mut findings = play.health.findings().await.into_iter();
        findings.find_map(|finding| finding.problem).ok_or("none")
    });
    found.await.unwrap().to_string()
}

/// Until nothing is missing any more.
async fn well(play: &Play<'_>) {
    let well = until(async || {
        let mut findings = play.health.findings().await.into_iter();
        findings
            .find_map(|finding| finding.problem)
            .map_or(Ok(()), Err)
    });
    well.await.unwrap();
}

pub async fn a_group_whose_topics_are_not_there_says_so_until_they_are(stage: &Stage) {
    let mut play = Play::on(stage, stage.open(), Order::PerKey);
    play.start();
    let (said, topic) = (problem(&play).await, stage.name("t"));
    assert!(said.contains(&topic), "{said}");
    let findings = play.health.findings().await;
    assert!(findings.iter().all(|finding| finding.service == play.group));
    stage.create(&play.bus, 1).await;
    play.publish(&["a"]).await;
    assert_eq!(play.effects(1).await, ["a"]);
    well(&play).await;
}

pub async fn a_group_whose_own_topic_is_another_says_so(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let mut play = Play::on(stage, bus, Order::PerKey);
    let name = dead_letter_topic(&stage.name("t"), play.group);
    let other = TopicSpec {
        name,
        ..stage.spec(3)
    };
    play.bus.create_topics(&[other]).await.unwrap();
    play.start();
    let said = problem(&play).await;
    assert!(said.contains("has 3 partitions, not 1"), "{said}");
}

/// A bus that takes nothing in.
struct Full {
    bus: SharedBus,
    refused: watch::Sender<u32>,
}

#[async_trait]
impl Bus for Full {
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        self.bus.create_topics(topics).await
    }

    async fn topics(&self) -> Result<Vec<String>, BusError> {
        self.bus.topics().await
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), Unpublished> {
        self.refused.send_modify(|refused| *refused += 1);
        let outcome = Err(BusError::Refused("it is full".into()));
        Unpublished::unless_all(vec![outcome; records.len()])
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<Box<dyn Subscription>, BusError> {
        self.bus.subscribe(group, topics).await
    }
}

#[async_trait]
impl Check for Full {
    async fn check(&self) -> Result<(), Problem> {
        self.bus.check().await
    }
}

pub async fn while_nothing_can_be_put_aside_a_group_says_so(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let mut play = Play::on(stage, bus.clone(), Order::PerKey);
    play.publish(&["poison-99"]).await;
    let full = Arc::new(Full {
        bus: bus.clone(),
        refused: watch::Sender::new(0),
    });
    let mut refused = full.refused.subscribe();
    play.bus = full;
    play.start();
    for times in 1..4 {
        refused.wait_for(|refused| *refused > times).await.unwrap();
        // That the batch is delivered again is no sign of health.
        let findings = play.health.findings().await;
        let said = findings[0].problem.as_ref().map(ToString::to_string);
        let said = said.unwrap_or_default();
        assert!(said.contains("it is full"), "{said}");
    }
    play.background.stop(Duration::from_secs(10)).await;
    play.bus = bus;
    play.start();
    assert_eq!(play.dead_letters(1).await.len(), 1);
    well(&play).await;
}
