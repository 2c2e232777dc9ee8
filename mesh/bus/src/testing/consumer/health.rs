//! A group that makes no progress reports why in its health check.

use std::{future::ready, time::Duration};

use tokio::sync::watch;

use super::play::Play;
use crate::{
    BusError, TopicSpec, Unpublished,
    consumer::{Order, dead_letter_topic},
    testing::{double::double, stage::Stage},
};
use slipway_runtime::testing::until;

/// Waits until the group's health check fails; returns the problem.
async fn problem(play: &Play<'_>) -> String {
    let found = until(async || {
        let mut findings = play.health.findings().await.into_iter();
        findings.find_map(|finding| finding.problem).ok_or("none")
    });
    found.await.unwrap().to_string()
}

/// Waits until no health check fails.
async fn healthy(play: &Play<'_>) {
    let healthy = until(async || {
        let mut findings = play.health.findings().await.into_iter();
        findings
            .find_map(|finding| finding.problem)
            .map_or(Ok(()), Err)
    });
    healthy.await.unwrap();
}

pub async fn a_group_is_unhealthy_until_its_topics_exist(stage: &Stage) {
    let mut play = Play::on(stage, stage.open(), Order::PerKey);
    play.start();
    let (reported, topic) = (problem(&play).await, stage.name("t"));
    assert!(reported.contains(&topic), "{reported}");
    let findings = play.health.findings().await;
    assert!(findings.iter().all(|finding| finding.service == play.group));
    stage.create(&play.bus, 1).await;
    play.publish(&["a"]).await;
    assert_eq!(play.effects(1).await, ["a"]);
    healthy(&play).await;
}

pub async fn a_group_is_unhealthy_if_its_own_topic_has_other_partitions(stage: &Stage) {
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
    let reported = problem(&play).await;
    assert!(reported.contains("has 3 partitions, not 1"), "{reported}");
}

pub async fn a_group_is_unhealthy_while_it_cannot_publish_dead_letters(stage: &Stage) {
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let mut play = Play::on(stage, bus.clone(), Order::PerKey);
    play.publish(&["poison-99"]).await;
    let (refusing, mut refused) = watch::channel(0);
    play.bus = double(bus.clone(), move |_, records| {
        refusing.send_modify(|refused| *refused += 1);
        let outcome = Err(BusError::Refused("it is full".into()));
        ready(Unpublished::unless_all(vec![outcome; records.len()]))
    });
    play.start();
    for times in 1..4 {
        refused.wait_for(|refused| *refused > times).await.unwrap();
        // A redelivery of the batch is not a sign of health.
        let findings = play.health.findings().await;
        let reported = findings[0].problem.as_ref().map(ToString::to_string);
        let reported = reported.unwrap_or_default();
        assert!(reported.contains("it is full"), "{reported}");
    }
    play.background.stop(Duration::from_secs(10)).await;
    play.bus = bus;
    play.start();
    assert_eq!(play.dead_letters(1).await.len(), 1);
    healthy(&play).await;
}
