//! The broker or the database is unavailable.

use std::time::{Duration, Instant};

use crate::{
    ledger::Answered,
    scene::{Scene, seconds},
};

/// How long the broker is unavailable.
const BROKER_AWAY: Duration = Duration::from_secs(60);

/// How long the database is unavailable.
const DATABASE_AWAY: Duration = Duration::from_secs(5);

/// A command must not wait for the missing broker: one that did would take until its deadline. On a
/// busy machine some commands are slow anyway, so this is far below the deadline and no measurement.
const SLOWEST: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_and_restarted_broker_loses_nothing() {
    let Some(mut scene) = Scene::set().await else {
        return;
    };
    let backbones = scene.mesh.backbones().unwrap();
    backbones.kafka("kill").await.unwrap();
    backbones.kafka("start").await.unwrap();
    scene.load.more(60).await;
    let outcome = scene.check().await;
    outcome.no_command_failed();
    outcome.row("`kill -9` and restart of the broker", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_without_the_broker_are_accepted_and_published_later() {
    let Some(scene) = Scene::set().await else {
        return;
    };
    let backbones = scene.mesh.backbones().unwrap();
    backbones.kafka("stop").await.unwrap();
    let gone = Instant::now();
    tokio::time::sleep(BROKER_AWAY).await;
    let back = Instant::now();
    backbones.kafka("start").await.unwrap();

    let outcome = scene.check().await;
    outcome.no_command_failed();
    let meanwhile = |answer: &Answered| answer.sent > gone && answer.sent + answer.took < back;
    let ledger = &outcome.ledger;
    let accepted = ledger.count(|answer| meanwhile(answer) && answer.accepted());
    let slowest = ledger.slowest(|answer| meanwhile(answer) && answer.accepted());
    let before = ledger.slowest(|answer| answer.sent < gone && answer.accepted());
    assert!(accepted > 0);
    assert!(
        slowest <= SLOWEST.max(before),
        "a command took {slowest:?}, {before:?} before"
    );
    let note = format!(
        "{accepted} accepted meanwhile, the slowest in {}; before in {}",
        seconds(slowest),
        seconds(before)
    );
    outcome.row("broker away for 60 s", &note);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_without_the_database_get_503_until_it_is_back() {
    let Some(mut scene) = Scene::set().await else {
        return;
    };
    let backbones = scene.mesh.backbones().unwrap();
    backbones.mongodb("kill").await.unwrap();
    let gone = Instant::now();
    tokio::time::sleep(DATABASE_AWAY).await;
    let back = Instant::now();
    backbones.mongodb("start").await.unwrap();
    scene.load.more(60).await;

    let outcome = scene.check().await;
    let meanwhile = |answer: &Answered| answer.sent > gone && answer.sent + answer.took < back;
    let answers = outcome
        .ledger
        .answers
        .iter()
        .filter(|answer| meanwhile(answer));
    let statuses: Vec<_> = answers.map(|answer| answer.status).collect();
    assert!(!statuses.is_empty());
    assert!(
        statuses.iter().all(|status| *status == Some(503)),
        "{statuses:?}"
    );
    let slowest = outcome.ledger.slowest(meanwhile);
    let note = format!(
        "{} requests meanwhile, each answered 503, the slowest in {}",
        statuses.len(),
        seconds(slowest)
    );
    outcome.row("`kill -9` of the database, 5 s, and restart", &note);
}
