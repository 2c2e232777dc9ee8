//! Grafana's files, as far as they can be checked without Grafana. `monitoring/grafana/validate`
//! checks the dashboards against Grafana's schema.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{array, read, text};

/// Columns of a dashboard.
const COLUMNS: u64 = 24;

pub(super) const DASHBOARDS: [&str; 3] = ["release-flow", "mesh", "process"];

pub(super) fn dashboard(name: &str) -> Value {
    read(&format!("grafana/dashboards/{name}.json"))
}

/// The panels of a dashboard that show something.
pub(super) fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = array(&dashboard["panels"]).iter();
    panels.filter(|panel| panel["type"] != "row").collect()
}

/// The cells of the grid that a panel covers.
fn cells(panel: &Value) -> impl Iterator<Item = (u64, u64)> {
    let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
    assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{}", panel["title"]);
    (x..x + w).flat_map(move |x| (y..y + h).map(move |y| (x, y)))
}

#[test]
fn panels_have_queries_and_do_not_overlap() {
    let mut titles = BTreeSet::new();
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        assert_eq!(dashboard["uid"], format!("slipway-{name}"));
        assert!(titles.insert(text(&dashboard["title"]).to_owned()));
        let (mut ids, mut covered) = (BTreeSet::new(), BTreeSet::new());
        for panel in array(&dashboard["panels"]) {
            let title = &panel["title"];
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
            assert!(cells(panel).all(|cell| covered.insert(cell)), "{title}");
        }
        for panel in panels(&dashboard) {
            let title = text(&panel["title"]);
            assert!(!title.is_empty() && panel["description"].is_string());
            let targets = array(&panel["targets"]);
            assert!(!targets.is_empty(), "{title}");
            for target in targets {
                assert!(!text(&target["expr"]).is_empty(), "{title}");
                assert_eq!(target["datasource"]["uid"], "prometheus", "{title}");
            }
        }
    }
}

#[test]
fn the_required_analytics_are_on_the_dashboard_of_the_release_flow() {
    let dashboard = dashboard("release-flow");
    let panels = panels(&dashboard);
    for required in [
        "Active developers",
        "Tasks completed per day",
        "Kafka events published per minute",
        "AI requests per minute",
        "AI latency",
        "Progress of the open releases",
    ] {
        assert!(
            panels.iter().any(|panel| panel["title"] == required),
            "{required}"
        );
    }
}

#[test]
fn the_runbook_has_a_section_for_every_alert() {
    let runbook = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbook.md");
    let runbook = fs::read_to_string(Path::new(runbook)).unwrap();
    let rules = read("grafana/provisioning/alerting/rules.json");
    let alerts = array(&rules["groups"][0]["rules"]);
    assert!(!alerts.is_empty());
    for alert in alerts {
        let title = text(&alert["title"]);
        let heading = format!("\n## {title}\n");
        assert!(runbook.contains(&heading), "{title}");
        let link = format!("docs/runbook.md#{}", title.to_lowercase());
        assert_eq!(alert["annotations"]["runbook_url"], link);
    }
    let sections = runbook.lines().filter(|line| line.starts_with("## "));
    assert_eq!(sections.count(), alerts.len(), "a section of no alert");
}
