//! Faults of real servers: the broker or the database is killed.

use std::time::{Duration, Instant};

use anyhow::ensure;
use slipway_tests::{ALERTED, Backbones, Mesh, Process, Role};

use super::*;

/// Time limit for a mail to the administrators.
const MAILED_WITHIN: Duration = Duration::from_secs(10);

/// All roles in one process on real servers, with an address for alerts.
async fn on_backbones(backbones: &Backbones) -> Process {
    let options = backbones.options().env("SLIPWAY_ALERT_EMAILS", ALERTED);
    let process = Process::start_with(&options).await.unwrap();
    let admin = process.admin().await.unwrap();
    // The process is healthy, and its consumers are working.
    admin
        .seen(|entry| entry["type"] == "user.registered")
        .await
        .unwrap();
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_mailed_within_ten_seconds_of_a_broker_outage() {
    let Some(backbones) = Backbones::start().await.unwrap() else {
        return;
    };
    let process = on_backbones(&backbones).await;
    backbones.kafka("kill").await.unwrap();
    let since = Instant::now();
    let data = process.data.path();
    let mail = mail(data, "bus").await;
    let delay = since.elapsed();
    eprintln!("the broker is away: mailed after {delay:?}");
    assert!(delay < MAILED_WITHIN, "{delay:?}");
    assert!(mail.contains(&format!("To: {ALERTED}")), "{mail}");

    backbones.kafka("start").await.unwrap();
    let admin = process.admin().await.unwrap();
    incident(&admin, "bus-unreachable", is_over_and_told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_mailed_within_ten_seconds_of_a_database_outage() {
    let Some(backbones) = Backbones::start().await.unwrap() else {
        return;
    };
    let process = on_backbones(&backbones).await;
    let admin = process.admin().await.unwrap();
    backbones.mongodb("kill").await.unwrap();
    let since = Instant::now();
    let data = process.data.path();
    let mail = mail(data, "store").await;
    let delay = since.elapsed();
    eprintln!("the database is away: mailed after {delay:?}");
    assert!(delay < MAILED_WITHIN, "{delay:?}");
    assert!(mail.contains(&format!("To: {ALERTED}")), "{mail}");

    // When it is available again, the log has the direct mail, and the end of the incident.
    backbones.mongodb("start").await.unwrap();
    let back = until(async || {
        let answer = admin.get(INCIDENTS).await.unwrap();
        ensure!(answer.status == 200, "{}", answer.text);
        Ok(())
    });
    back.await.unwrap();
    incident(&admin, "unreachable", is_over_and_told).await;
    let both = until(async || {
        let mails = mails(data, "store");
        ensure!(mails.len() >= 2, "{mails:#?}");
        Ok(mails)
    });
    let both = both.await.unwrap();
    let wrong = both
        .iter()
        .filter(|mail| subject(mail).starts_with("Something"));
    assert_eq!(wrong.count(), 1);
}

/// The mails about something, from all replicas of notify-svc.
fn mails_of(mesh: &Mesh, about: &str) -> Vec<String> {
    let replicas = (0..2).map(|n| mesh.process(Role::Notify, n).unwrap());
    replicas
        .flat_map(|replica| mails(replica.data.path(), about))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_broker_replicas_send_one_mail_for_each_service() {
    let Some(mesh) = Mesh::replicas().await.unwrap() else {
        return;
    };
    mesh.backbones().unwrap().kafka("kill").await.unwrap();
    let since = Instant::now();
    let mail = until(async || mails_of(&mesh, "bus").pop().context("no mail")).await;
    let mail = mail.unwrap();
    let delay = since.elapsed();
    eprintln!("replicas, the broker is away: mailed after {delay:?}");
    assert!(delay < MAILED_WITHIN, "{delay:?}");
    assert!(mail.contains(&format!("To: {ALERTED}")), "{mail}");

    // Two replicas of each role noticed it; each service has one incident and one mail.
    let services = ["release", "forum", "chat", "notify"];
    let admin = mesh.admin().await.unwrap();
    let known = until(async || {
        let all = incidents(&admin).await;
        let known = |service: &&str| all.iter().any(|one| one["service"] == **service);
        ensure!(services.iter().all(known), "{all:#?}");
        Ok(())
    });
    known.await.unwrap();
    let mailed = until(async || {
        let mails = mails_of(&mesh, "bus");
        let mut subjects: Vec<_> = mails.iter().map(|mail| subject(mail)).collect();
        subjects.sort();
        ensure!(subjects.len() >= services.len(), "{subjects:#?}");
        Ok(subjects)
    });
    let mailed = mailed.await.unwrap();
    assert_eq!(mailed.len(), services.len(), "{mailed:#?}");
}
