//! From a broken service to a mail: Prometheus, Alertmanager, the gateway's webhook, notify-svc.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use slipway_tests::{
    Backbones, Client, Options, Process,
    monitoring::{Alertmanager, Prometheus, is_installed},
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

/// Waits until an alert is in this state.
async fn is(prometheus: &Prometheus, alert: &str, state: &str) {
    let reached = until(async || {
        let found = prometheus.alert(alert).await?;
        ensure!(found == state, "{alert} is {found}");
        Ok(())
    });
    reached.await.unwrap();
}

/// Whether `/readyz` reports a problem of this dependency.
async fn lacks(process: &Process, dependency: &str) -> bool {
    let ready = Client::new(&process.ops).get("/readyz").await.unwrap().body;
    let checks = ready["checks"].as_array().unwrap();
    let mut lacking = checks.iter().filter(|check| check["problem"].is_string());
    lacking.any(|check| check["dependency"] == dependency)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_an_alert_until_it_is_back() {
    if !is_installed().unwrap() {
        return;
    }
    let Some(backbones) = Backbones::start().await.unwrap() else {
        return;
    };
    let process = Process::start_with(&backbones.options()).await.unwrap();
    let targets = [("all", process.ops.clone())];
    let prometheus = Prometheus::start(&targets, None).await.unwrap();
    for (alert, dependency) in [
        ("BrokerUnreachable", "bus"),
        ("DatabaseUnreachable", "store"),
    ] {
        let server = async |command| match dependency {
            "bus" => backbones.kafka(command).await.unwrap(),
            _ => backbones.mongodb(command).await.unwrap(),
        };
        is(&prometheus, alert, "inactive").await;
        server("kill").await;
        is(&prometheus, alert, "firing").await;
        assert!(lacks(&process, dependency).await, "{dependency}");
        server("start").await;
        is(&prometheus, alert, "inactive").await;
    }
}
