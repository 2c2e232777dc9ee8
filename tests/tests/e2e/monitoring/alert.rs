//! From a broken service to a mail: Prometheus, Alertmanager, the gateway's webhook, notify-svc. And
//! from each part that is killed to its alert.

use std::{fs, path::Path};

use anyhow::Context as _;
use slipway_tests::{
    Backbones, Options, Process,
    monitoring::{Alertmanager, Pace, Prometheus, is_installed},
    outages::{Part, Scene},
    until,
};

const SECRET: &str = "a-secret-of-webhooks";

/// Waits for a mail with this subject in the data directory.
async fn mailed(data: &Path, subject: &str) {
    let dir = data.join("data").join("mail");
    let found = until(async || {
        let mut subjects = Vec::new();
        for file in fs::read_dir(&dir)? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "eml") {
                // A long header continues on the next line.
                let mail = fs::read_to_string(path)?.replace("\r\n ", " ");
                let line = mail.lines().find_map(|line| line.strip_prefix("Subject: "));
                subjects.push(line.unwrap_or_default().to_owned());
            }
        }
        let is_there = subjects.iter().any(|found| found == subject);
        is_there
            .then_some(())
            .with_context(|| format!("{subject}: {subjects:?}"))
    });
    found.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_is_mailed_and_its_return_too() {
    if !is_installed().unwrap() {
        return;
    }
    let options = Options::default().env("SLIPWAY_WEBHOOK_SECRET", SECRET);
    let process = Process::start_with(&options).await.unwrap();
    let other = Process::start().await.unwrap();
    let alertmanager = Alertmanager::start(&process.http, SECRET).await.unwrap();
    let targets = [("all", process.ops.clone()), ("chat", other.ops.clone())];
    let prometheus = Prometheus::start(&targets, Some(&alertmanager))
        .await
        .unwrap();
    let up = until(async || {
        let up = prometheus
            .values(r#"role:slipway_up:sum{role="chat"} == 1"#)
            .await?;
        up.first().copied().context("it was not scraped")
    });
    up.await.unwrap();

    let address = other.ops.trim_start_matches("http://").to_owned();
    let data = other.kill().await.unwrap();
    let down = "No process of the role chat answers";
    mailed(process.data.path(), &format!("Something is wrong: {down}")).await;

    let back = Options::default().env("SLIPWAY_OPS_ADDR", address);
    let _back = Process::start_on(data, &back).await.unwrap();
    mailed(process.data.path(), &format!("Over: {down}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_part_is_an_alert_and_named_by_readyz_until_it_is_back() {
    if !is_installed().unwrap() {
        return;
    }
    let Some(backbones) = Backbones::start().await.unwrap() else {
        return;
    };
    let mut scene = Scene::set(backbones, Pace::Fast).await.unwrap();
    for part in Part::ALL {
        let outage = scene.without(part).await.unwrap();
        eprintln!("{outage}");
    }
}
