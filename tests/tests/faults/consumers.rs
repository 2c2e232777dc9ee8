//! Consumers that die between effect and commit, and groups that change while they work.

use slipway_tests::{Client, Role, topics::ACTIVITY};

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_delivered_again_after_its_effect_has_no_second_one() {
    let Some(mut scene) = Scene::set().await else {
        return;
    };
    for n in 0..4 {
        scene.mesh.kill(Role::Notify, n % 2).await.unwrap();
        scene.mesh.restart(Role::Notify, n % 2).await.unwrap();
        scene.load.more(20).await;
    }
    let mut outcome = scene.check().await;
    outcome.no_command_failed();

    // As if every consumer had died between effect and commit, every time.
    for n in 0..2 {
        outcome.mesh.stop(Role::Notify, n).await.unwrap();
    }
    outcome.topics.forget(ACTIVITY).await.unwrap();
    for n in 0..2 {
        outcome.mesh.restart(Role::Notify, n).await.unwrap();
    }
    outcome.topics.consumed_by(ACTIVITY).await.unwrap();
    let again = counted(&outcome, "slipway_events_consumed_total").await;
    assert!(
        again >= outcome.checked.events,
        "only {again} were delivered again"
    );
    let appended = counted(&outcome, "slipway_activity_entries_appended_total").await;
    assert_eq!(appended, 0, "what was stored is known");
    outcome.mesh.follows().await.unwrap();
    let admin = outcome.mesh.admin().await.unwrap();
    assert_eq!(admin.wall().await.unwrap().len(), outcome.checked.entries);
    let note = format!("then {again} delivered again, all known");
    outcome.row("consumers killed between effect and commit", &note);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_changes_in_the_middle_of_its_batches_repeats_nothing() {
    let Some(mut scene) = Scene::set().await else {
        return;
    };
    // What waits makes for large batches.
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
        "a third consumer joins in the middle of a batch, and leaves",
        "",
    );
}

/// The sum of a counter over both replicas of the wall.
async fn counted(outcome: &crate::scene::Outcome, name: &str) -> usize {
    let mut sum = 0.0;
    for n in 0..2 {
        let ops = &outcome.mesh.process(Role::Notify, n).unwrap().ops;
        let metrics = Client::new(ops).get("/metrics").await.unwrap();
        let lines = metrics.text.lines().filter(|line| line.starts_with(name));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        sum += values.sum::<f64>();
    }
    sum as usize
}
