//! A real Prometheus scrapes a real process under a small load: every query of every panel and of
//! every rule has data, or a true zero.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use slipway_tests::{
    Mesh, Team, in_both_shapes,
    monitoring::{Prometheus, is_installed},
    team::{id, task_ids},
    until,
};

use super::{
    array,
    dashboards::{DASHBOARDS, dashboard, panels},
    read, text,
};

/// Between two questions to the assistant: somebody can ask only 40 a minute.
const ASKS_EVERY: Duration = Duration::from_secs(2);

/// Uses everything that is measured, once; the assistant only if `asks`.
pub(super) async fn work(team: &Team, round: usize, asks: bool) -> anyhow::Result<()> {
    let (admin, developer) = (&team.admin, &team.developers[0]);
    let name = format!("release {}", round % 3);
    let release = team.release(&name, &[0, 1]).await?;
    let tasks = task_ids(&release);
    for step in ["start", "complete"] {
        let path = format!("/tasks/{}/{step}", tasks[0]);
        developer.patch(&path).await?.expect(200);
    }
    // Refused, because the developer is busy or the task is not the next one.
    developer
        .patch(&format!("/tasks/{}/start", tasks[1]))
        .await?;
    let comments = format!("/tasks/{}/comments", tasks[1]);
    let comment = json!({"content": "@dev-1, it is your turn"});
    developer.post(&comments, &comment).await?.expect(201);
    if asks {
        let session = developer
            .post("/chat/session", &json!({}))
            .await?
            .expect(201);
        let question = json!({"message": "What is next?"});
        let messages = format!("/chat/{}/message", id(&session));
        developer.post(&messages, &question).await?.expect(200);
    }
    admin.get("/releases").await?.expect(200);
    admin.get("/nothing/here").await?.expect(404);
    Ok(())
}

/// A question to Prometheus: where it is asked, and the query.
type Asked = (String, String);

/// The queries of all panels, with values for Grafana's variables.
fn of_panels() -> Vec<Asked> {
    let mut queries = Vec::new();
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        for panel in panels(&dashboard) {
            for target in array(&panel["targets"]) {
                let query = text(&target["expr"]);
                let query = query
                    .replace("$__rate_interval", "1m")
                    .replace("$role", ".*");
                queries.push((format!("{name}: {}", text(&panel["title"])), query));
            }
        }
    }
    queries
}

/// The comparison of an alert: a recorded series, the operator and a number.
fn comparison(query: &str) -> (&str, &str, f64) {
    let parts: Vec<_> = query.split(' ').collect();
    let [series, operator, number] = parts[..] else {
        panic!("an alert compares one series with one number: {query}");
    };
    (series, operator, number.parse().unwrap())
}

/// The queries of all rules. Of an alert what it compares: the comparison itself has no result
/// while all is well.
async fn of_rules(prometheus: &Prometheus) -> anyhow::Result<Vec<Asked>> {
    let mut queries = Vec::new();
    for rule in prometheus.rules("record").await? {
        let name = text(&rule["name"]);
        queries.push((format!("recorded: {name}"), text(&rule["query"]).to_owned()));
    }
    for rule in prometheus.rules("alert").await? {
        let (series, _, _) = comparison(text(&rule["query"]));
        queries.push((format!("alert: {}", text(&rule["name"])), series.to_owned()));
    }
    Ok(queries)
}

async fn asked(prometheus: &Prometheus) -> anyhow::Result<Vec<(Asked, Vec<f64>)>> {
    let mut answers = Vec::new();
    for (place, query) in of_panels().into_iter().chain(of_rules(prometheus).await?) {
        let values = prometheus.values(&query).await?;
        answers.push(((place, query), values));
    }
    Ok(answers)
}

in_both_shapes!(every_panel_and_every_rule_has_data);

async fn every_panel_and_every_rule_has_data(mesh: Mesh) {
    if !is_installed().unwrap() {
        return;
    }
    let prometheus = Prometheus::start(&mesh.ops(), None).await.unwrap();
    let team = Team::at(&mesh.client(), 2).await.unwrap();
    let _reader = team.admin.stream("", None).await.unwrap();

    // Rates need samples before and after the load, so the load goes on until all have data.
    let (mut round, mut asked_at) = (0, None::<Instant>);
    let answers = until(async || {
        let asks = asked_at.is_none_or(|at| at.elapsed() >= ASKS_EVERY);
        work(&team, round, asks).await?;
        if asks {
            asked_at = Some(Instant::now());
        }
        round += 1;
        let answers = asked(&prometheus).await?;
        let empty = answers.iter().filter(|(_, values)| values.is_empty());
        let empty: Vec<_> = empty.map(|(asked, _)| asked).collect();
        ensure!(empty.is_empty(), "no data: {empty:#?}");
        Ok(answers)
    });
    for ((place, query), values) in answers.await.unwrap() {
        let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: Vec<_> = values
            .iter()
            .take(3)
            .map(|value| format!("{value:.4}"))
            .collect();
        eprintln!(
            "{place} | {query} | {} series: {}",
            values.len(),
            shown.join(", ")
        );
    }

    let developer = &team.developers[1];
    let todo = developer.get("/tasks/my?status=TODO").await.unwrap();
    let task = format!("/tasks/{}", id(&todo.expect(200)["items"][0]));
    for (step, active) in [("start", 1.0), ("complete", 0.0)] {
        let path = format!("{task}/{step}");
        developer.patch(&path).await.unwrap().expect(200);
        let measured = until(async || {
            let found = prometheus.values("max(slipway_active_developers)").await?;
            ensure!(found == [active], "{found:?} instead of {active}");
            Ok(())
        });
        measured.await.unwrap();
    }

    let alerts = prometheus.rules("alert").await.unwrap();
    let firing = alerts.iter().filter(|rule| rule["state"] == "firing");
    // The disk is that of the machine that runs the tests.
    let firing: Vec<_> = firing
        .filter(|rule| rule["name"] != "DiskNearlyFull")
        .collect();
    assert!(firing.is_empty(), "{firing:#?}");

    same_alerts(&alerts);
}

/// Grafana's alerts are those of Prometheus, for those who have only one of them.
fn same_alerts(of_prometheus: &[Value]) {
    let provisioned = read("grafana/provisioning/alerting/rules.json");
    let of_grafana = array(&provisioned["groups"][0]["rules"]);
    assert_eq!(of_grafana.len(), of_prometheus.len());
    for (grafana, prometheus) in of_grafana.iter().zip(of_prometheus) {
        let name = text(&prometheus["name"]);
        assert_eq!(grafana["title"], name);
        let (series, operator, number) = comparison(text(&prometheus["query"]));
        assert_eq!(grafana["data"][0]["model"]["expr"], series, "{name}");
        let evaluator = &grafana["data"][1]["model"]["conditions"][0]["evaluator"];
        let kind = if operator == ">" { "gt" } else { "lt" };
        assert_eq!(evaluator["type"], kind, "{name}");
        assert_eq!(evaluator["params"][0].as_f64(), Some(number), "{name}");
        assert_eq!(grafana["labels"], prometheus["labels"], "{name}");
        let summary = text(&grafana["annotations"]["summary"]);
        let summary = summary.replace("$values.A.Value", "$value");
        assert_eq!(prometheus["annotations"]["summary"], summary, "{name}");
        let runbook = &prometheus["annotations"]["runbook_url"];
        assert_eq!(&grafana["annotations"]["runbook_url"], runbook, "{name}");
    }
}
