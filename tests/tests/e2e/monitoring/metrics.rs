//! The metrics of a process are declared, with their labels, and documented.

use std::collections::BTreeSet;

use regex::Regex;
use slipway::metrics::ALL;
use slipway_runtime::telemetry::metrics::{Kind, Metric};
use slipway_tests::{Client, Process, Team, until};

use super::panels::work;

/// A line of Prometheus's text format: the name, and the labels if there are any.
fn series(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let label = Regex::new(r#"([a-z_]+)="(?:[^"\\]|\\.)*""#).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let series = lines.filter_map(|line| {
        let (series, _) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = label.captures_iter(labels).map(|found| found[1].to_owned());
        Some((name.to_owned(), labels.collect()))
    });
    series.collect()
}

fn declared(name: &str, labels: &BTreeSet<String>) -> bool {
    let metrics = ALL.iter().flat_map(|(_, metrics)| *metrics);
    let fits = |metric: &Metric| {
        let parts: &[&str] = match metric.kind {
            Kind::histogram => &["_bucket", "_sum", "_count"],
            Kind::counter | Kind::gauge => &[""],
        };
        let own = parts
            .iter()
            .any(|part| name == format!("{}{part}", metric.name));
        let mut labels = labels.clone();
        if metric.kind == Kind::histogram {
            labels.remove("le");
        }
        own && labels.iter().eq(&BTreeSet::from_iter(
            metric.labels.iter().map(ToString::to_string),
        ))
    };
    metrics.into_iter().any(fits)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_declared_with_its_labels() {
    let process = Process::start().await.unwrap();
    let team = Team::new(&process, 2).await.unwrap();
    work(&team, 0, true).await.unwrap();
    let ops = Client::new(&process.ops);
    // The last ones to appear are those of a mail that was sent.
    let metrics = until(async || {
        let text = ops.get("/metrics").await.unwrap().text;
        let sent = r#"slipway_notifications_sent_total{channel="EMAIL",type="task.assigned"} 0"#;
        match text.contains(sent) || !text.contains("slipway_release_tasks{") {
            false => Ok(text),
            true => Err(text),
        }
    });
    for (name, labels) in series(&metrics.await.unwrap()) {
        assert!(declared(&name, &labels), "{name} {labels:?}");
    }
}
