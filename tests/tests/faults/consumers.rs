//! Consumers that die between effect and commit, and consumer groups that rebalance under load.

use slipway_tests::{Client, Role, topics::GROUPS};

use crate::{published::NOTIFY, scene::Scene};

/// How many times all consumers are killed.
const TIMES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_event_has_no_second_effect() {
    let Some(mut scene) = Scene::set().await else {
        return;
    };
    // Every consumer has died between effect and commit, for each event so far.
    let mut forgotten = [0; GROUPS.len()];
    for _ in 0..TIMES {
        for n in 0..2 {
            scene.mesh.kill(Role::Notify, n).await.unwrap();
        }
        for (group, forgotten) in GROUPS.iter().zip(&mut forgotten) {
            *forgotten = scene.topics.forget(*group).await.unwrap();
        }
        for n in 0..2 {
            scene.mesh.restart(Role::Notify, n).await.unwrap();
        }
        scene.load.more(20).await;
    }
    let outcome = scene.check().await;
    outcome.no_command_failed();
    let mut again = 0;
    for (group, forgotten) in GROUPS.iter().zip(forgotten) {
        let consumed = consumed(&outcome, group.id).await;
        assert!(
            consumed >= forgotten,
            "{group:?}: {consumed} of {forgotten}"
        );
        again += forgotten;
    }
    let admin = outcome.mesh.admin().await.unwrap();
    for kind in NOTIFY {
        let events = outcome.ledger.of_kind(kind);
        let listed = format!("/admin/notifications?type={kind}&limit=200");
        let made = admin.all(&listed).await.unwrap().len();
        assert_eq!(made, events, "notifications of {kind}");
    }
    let note = format!("after the last time {again} delivered again, all known");
    outcome.row(
        "all consumers killed between effect and commit, three times",
        &note,
    );
}

/// A backlog makes batches large, so that the group rebalances while its members hold some. That a
/// batch is held during a rebalance is checked by the consumer's own test,
/// `a_rebalance_in_the_middle_of_a_batch_loses_and_repeats_no_effect`.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_rebalances_with_a_backlog_repeats_nothing() {
    let Some(mut scene) = Scene::set().await else {
        return;
    };
    for n in 0..2 {
        scene.mesh.stop(Role::Notify, n).await.unwrap();
    }
    scene.load.more(100).await;
    for n in 0..2 {
        scene.mesh.restart(Role::Notify, n).await.unwrap();
    }
    let third = scene.mesh.add(Role::Notify).await.unwrap();
    scene.load.more(30).await;
    scene.mesh.stop(Role::Notify, third).await.unwrap();
    scene.load.more(30).await;
    let outcome = scene.check().await;
    outcome.no_command_failed();
    outcome.row(
        "a third consumer joins while a backlog is worked off, and leaves",
        "",
    );
}

/// How many events both replicas have consumed in a group since their start.
async fn consumed(outcome: &crate::scene::Outcome, group: &str) -> i64 {
    let (name, group) = (
        "slipway_events_consumed_total",
        format!("group=\"{group}\""),
    );
    let mut sum = 0.0;
    for n in 0..2 {
        let ops = &outcome.mesh.process(Role::Notify, n).unwrap().ops;
        let metrics = Client::new(ops).get("/metrics").await.unwrap();
        let lines = metrics.text.lines();
        let lines = lines.filter(|line| line.starts_with(name) && line.contains(&group));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        sum += values.sum::<f64>();
    }
    sum as i64
}
