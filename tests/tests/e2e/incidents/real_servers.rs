//! The broker or the database is what is wrong: real ones, which are killed.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use slipway_tests::{ALERTED, Backbones, Mesh, Process, Role};

use super::*;

/// An administrator has heard of what is wrong by then.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// A key that signs tokens.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

/// The whole mesh in one process on real servers, with somebody who is alerted.
async fn on_backbones(backbones: &Backbones, dir: &Path) -> Process {
    let key = dir.join("key.pem");
    fs::write(&key, KEY).unwrap();
    let options = backbones
        .options()
        .env("SLIPWAY_JWT_KEY_FILE", key.to_str().unwrap())
        .env("SLIPWAY_ALERT_EMAILS", "ops@example.com");
    let process = Process::start_with(&options).await.unwrap();
    let admin = process.admin().await.unwrap();
    // All is well, and its consumers are at work.
    admin
        .seen(|entry| entry["type"] == "user.registered")
        .await
        .unwrap();
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_hear_within_ten_seconds_that_the_broker_is_away() {
    let Some(backbones) = Backbones::start().await.unwrap() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let process = on_backbones(&backbones, dir.path()).await;
    backbones.kafka("kill").await.unwrap();
    let gone = Instant::now();
    let data = process.data.path();
    let mail = until("a mail", async || mails(data, "bus").pop()).await;
    let heard = gone.elapsed();
    eprintln!("the broker is away: heard after {heard:?}");
    assert!(heard < HEARD_WITHIN, "{heard:?}");
    assert!(mail.contains("To: ops@example.com"), "{mail}");

    backbones.kafka("start").await.unwrap();
    let admin = process.admin().await.unwrap();
    let over = incident(&admin, "bus-unreachable", |one| one["state"] == "RESOLVED").await;
    assert_eq!(over["emailedAt"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_hear_within_ten_seconds_that_the_database_is_away() {
    let Some(backbones) = Backbones::start().await.unwrap() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let process = on_backbones(&backbones, dir.path()).await;
    let admin = process.admin().await.unwrap();
    backbones.mongodb("kill").await.unwrap();
    let gone = Instant::now();
    let data = process.data.path();
    let mail = until("a mail", async || mails(data, "store").pop()).await;
    let heard = gone.elapsed();
    eprintln!("the database is away: heard after {heard:?}");
    assert!(heard < HEARD_WITHIN, "{heard:?}");
    assert!(mail.contains("To: ops@example.com"), "{mail}");

    // When it is back the log says what was mailed meanwhile, and that it is over.
    backbones.mongodb("start").await.unwrap();
    until("the database", async || {
        (admin.get(INCIDENTS).await.unwrap().status == 200).then_some(())
    })
    .await;
    let over = incident(&admin, "unreachable", |one| one["state"] == "RESOLVED").await;
    assert_eq!(over["emailedAt"].as_array().unwrap().len(), 2);
    let begun: Vec<_> = until("both mails", async || {
        let mails = mails(data, "store");
        (mails.len() >= 2).then_some(mails)
    })
    .await;
    let wrong = begun
        .iter()
        .filter(|mail| subject(mail).starts_with("Something"));
    assert_eq!(wrong.count(), 1);
}

/// The mails about something that the replicas of notify-svc have written.
fn mails_of(mesh: &Mesh, about: &str) -> Vec<String> {
    let replicas = (0..2).map(|n| mesh.process(Role::Notify, n).unwrap());
    replicas
        .flat_map(|replica| mails(replica.data.path(), about))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_replicas_without_the_broker_administrators_hear_once_of_each_service() {
    let Some(mesh) = Mesh::replicas().await.unwrap() else {
        return;
    };
    mesh.backbones().unwrap().kafka("kill").await.unwrap();
    let gone = Instant::now();
    let mail = until("a mail", async || mails_of(&mesh, "bus").pop()).await;
    let heard = gone.elapsed();
    eprintln!("replicas, the broker is away: heard after {heard:?}");
    assert!(heard < HEARD_WITHIN, "{heard:?}");
    let to = format!("To: {ALERTED}");
    assert!(mail.contains(&to), "{mail}");

    // Two replicas of each role noticed it; a service is one incident and one mail.
    let services = ["release", "forum", "chat", "notify"];
    let admin = mesh.admin().await.unwrap();
    until("an incident of each service", async || {
        let all = incidents(&admin).await;
        let known = |service: &&str| all.iter().any(|one| one["service"] == **service);
        services.iter().all(known).then_some(())
    })
    .await;
    until("a mail about each", async || {
        (mails_of(&mesh, "bus").len() >= services.len()).then_some(())
    })
    .await;
    let mut subjects: Vec<_> = mails_of(&mesh, "bus").iter().map(|m| subject(m)).collect();
    let mailed = subjects.len();
    subjects.sort();
    assert_eq!(mailed, services.len(), "{subjects:#?}");
}
