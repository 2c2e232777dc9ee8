//! Kafka's own Java client reads what Slipway publishes and is read by it.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};
use slipway_tests::{Backbones, Options, Process, Team, backbones, team::id};
use tokio::process::Command;
use uuid::Uuid;

const RELEASES: usize = 12;

/// Runs the program in tests/java; returns its output.
async fn java(broker: &str, args: &[&str]) -> String {
    let classpath = backbones::kafka_classpath().await.unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/Interop.java");
    let output = Command::new("java")
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp"])
        .arg(classpath)
        .arg(program)
        .arg(broker)
        .args(args)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_java_client_reads_slipway_and_slipway_reads_a_java_client() {
    let Some(backbones) = Backbones::start().await.unwrap() else {
        return;
    };
    let broker = &backbones.kafka;
    let options = Options::default().env("SLIPWAY_KAFKA_BROKERS", broker);
    let server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let mut planned = BTreeSet::new();
    for n in 0..RELEASES {
        let release = team.release(&format!("release {n}"), &[]).await.unwrap();
        planned.insert(id(&release).to_owned());
    }

    let count = RELEASES.to_string();
    let printed = java(broker, &["consume", "slipway.releases", &count]).await;
    let (mut read, mut partitions) = (BTreeSet::new(), BTreeSet::new());
    for line in printed.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [partition, expected, key, event, kind, content, value] = fields[..] else {
            panic!("{line}")
        };
        assert_eq!(partition, expected, "where a Java client puts {key}");
        assert!(event.parse::<Uuid>().is_ok(), "{event}");
        assert_eq!((kind, content), ("release.created", "application/json"));
        let value: Value = serde_json::from_str(value).unwrap();
        assert_eq!(value["releaseId"], key);
        partitions.insert(partition.to_owned());
        read.insert(key.to_owned());
    }
    assert_eq!(read, planned);
    assert!(
        partitions.len() > 1,
        "the keys tell nothing: {partitions:?}"
    );

    let (event, build) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", &event),
        ("ce_type", "build.finished"),
        ("ce_source", "/another/program"),
        ("ce_subject", &build),
        ("ce_time", "2026-01-02T03:04:05.678Z"),
        ("ce_dataschema", "build.finished/1"),
        ("slipway-actor", "system"),
    ]
    .map(|(name, value)| format!("{name}={value}"));
    let mut args = vec!["produce", "slipway.releases", &build, "{\"minutes\": 7}"];
    args.extend(headers.iter().map(String::as_str));
    java(broker, &args).await;
    let wanted = json!(event);
    let entry = team.admin.seen(|entry| entry["id"] == wanted).await;
    let entry = entry.unwrap();
    assert_eq!(entry["type"], "build.finished");
    assert_eq!(entry["subject"], json!(build));
}
