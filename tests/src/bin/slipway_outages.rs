//! Kills each part of a mesh in turn, and prints which alert fires, how soon, what `/readyz` says,
//! and how soon the alert is over. It takes about 10 minutes, because Prometheus has the files of
//! `monitoring/` with their intervals; see docs/faults.md.

use std::time::Duration;

use anyhow::ensure;
use slipway_tests::{
    Backbones,
    monitoring::{Pace, is_installed},
    outages::{Part, Scene},
};

/// By when the alert must fire, and by when it must be over.
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    ensure!(is_installed()?, "Prometheus and Alertmanager are needed");
    let mut scene = Scene::set(Backbones::run().await?, Pace::AsConfigured).await?;
    println!("| killed | alert | fires after | `/readyz` | over after | others |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut late = Vec::new();
    for part in Part::ALL {
        let outage = scene.without(part).await?;
        println!("{outage}");
        if outage.fired.max(outage.resolved) > WITHIN {
            late.push(part.to_string());
        }
    }
    ensure!(late.is_empty(), "later than {WITHIN:?}: {late:?}");
    Ok(())
}
