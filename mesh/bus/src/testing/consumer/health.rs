//! A group that does not get on says so.

use std::{future::ready, time::Duration};

use tokio::sync::watch;

use super::play::Play;
use crate::{
    BusError, TopicSpec, Unpublished,
    consumer::{Order, dead_letter_topic},
    testing::{double::double, stage::Stage},
};
use slipway_runtime::testing::until;

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

pub async fn while_nothing_can_be_put_aside_a_group_says_so(stage: &Stage) {
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
