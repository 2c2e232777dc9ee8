//! The files in `monitoring/`: a real Prometheus accepts the configuration and the rules; every
//! panel and every rule has data; an alert ends as a mail.

mod alert;
mod dashboards;
mod metrics;
mod panels;

use std::{fs, path::Path};

use serde_json::Value;
use slipway_tests::monitoring::{FILES, check, is_installed};

/// Reads a JSON file in `monitoring/`.
fn read(path: &str) -> Value {
    let text = fs::read_to_string(Path::new(FILES).join(path)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test]
async fn prometheus_and_alertmanager_accept_their_files_and_the_rules_pass_their_tests() {
    if !is_installed().unwrap() {
        return;
    }
    for (program, args) in [
        (
            "promtool",
            &["check", "config", "prometheus/prometheus.yml"][..],
        ),
        (
            "promtool",
            &["test", "rules", "prometheus/tests/slipway.yml"],
        ),
        ("amtool", &["check-config", "alertmanager/alertmanager.yml"]),
    ] {
        check(program, args).await.unwrap();
    }
}
