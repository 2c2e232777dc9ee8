//! Runs a real Prometheus and a real Alertmanager with the project's files in `monitoring/`, made
//! faster and pointed at the processes of a test.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context as _, ensure};
use form_urlencoded::Serializer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{Client, programs};

/// The directory with the project's files.
pub const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../monitoring");

/// The programs that the tests need.
const PROGRAMS: [&str; 4] = [
    "prometheus",
    "promtool",
    "prometheus-alertmanager",
    "amtool",
];

/// Whether the programs of Prometheus are there. If not, says so on standard error.
///
/// # Errors
/// If they are required and missing.
pub fn is_installed() -> anyhow::Result<bool> {
    programs::are_installed(&PROGRAMS)
}

/// Runs a program on the project's files, which must find them good; returns its output.
///
/// # Errors
/// If it cannot be run, or does not.
pub async fn check(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(FILES)
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {args:?}: {text}");
    Ok(text.into_owned())
}

/// A running Prometheus or Alertmanager; killed when dropped.
struct Server {
    _child: Child,
    /// Its host and port.
    address: String,
    _dir: TempDir,
}

impl Server {
    /// Starts a program on a port that the system chooses, and waits until it listens.
    async fn start(program: &str, args: &[String], dir: TempDir) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let log = child.stderr.take().context("it has a log")?;
        let (mut log, mut seen) = (BufReader::new(log).lines(), String::new());
        let address = loop {
            let line = log.next_line().await?;
            let line = line.with_context(|| format!("{program} ended: {seen}"))?;
            if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                break address.to_owned();
            }
            seen += &line;
            seen += "\n";
        };
        // Read on, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Ok(Self {
            _child: child,
            address,
            _dir: dir,
        })
    }
}

/// Replaces a part of a file that must be there.
fn replace(text: &str, part: &str, by: &str) -> anyhow::Result<String> {
    ensure!(text.contains(part), "{part:?} is not in\n{text}");
    Ok(text.replace(part, by))
}

/// Replaces the lines of a file from the one that contains `from` up to the one before `to`.
fn replace_lines(text: &str, from: &str, to: &str, by: &str) -> anyhow::Result<String> {
    let (before, rest) = text.split_once(from).context("the first line is there")?;
    let (_, after) = rest.split_once(to).context("the last line is there")?;
    Ok(format!("{before}{by}{to}{after}"))
}

/// How often Prometheus scrapes and evaluates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Every second, and alerts wait no longer than that.
    Fast,
    /// As the files say.
    AsConfigured,
}

/// An alert that is firing, or will be if its cause lasts.
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// The role that it is about.
    pub role: Option<String>,
    /// Whether it is firing.
    pub is_firing: bool,
}

/// A running Prometheus.
pub struct Prometheus {
    _server: Server,
    client: Client,
}

impl Prometheus {
    /// Starts it with scrapes and evaluations every second. `targets` are URLs of ops ports, each
    /// with its role.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(
        targets: &[(&str, String)],
        alertmanager: Option<&Alertmanager>,
    ) -> anyhow::Result<Self> {
        Self::start_at(Pace::Fast, targets, alertmanager).await
    }

    /// The same, at this pace.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_at(
        pace: Pace,
        targets: &[(&str, String)],
        alertmanager: Option<&Alertmanager>,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let source = Path::new(FILES).join("prometheus");
        let config = fs::read_to_string(source.join("prometheus.yml"))?;
        let config = match pace {
            Pace::Fast => replace(&config, "interval: 10s", "interval: 1s")?,
            Pace::AsConfigured => config,
        };
        // No name of the compose file is looked up.
        let names = "    # The services of the compose file.";
        let config = replace_lines(&config, names, "    # Any other process", "")?;
        let receivers = alertmanager.map_or(String::new(), |alertmanager| {
            let address = &alertmanager.0.address;
            format!("    - static_configs: [{{targets: ['{address}']}}]\n")
        });
        let names = "    - dns_sd_configs:";
        let config = replace_lines(&config, names, "\nscrape_configs:", &receivers)?;
        fs::write(dir.path().join("prometheus.yml"), config)?;

        let rules = fs::read_to_string(source.join("rules/slipway.yml"))?;
        let rules = match pace {
            Pace::Fast => replace(&rules, "for: 20s", "for: 1s")?,
            Pace::AsConfigured => rules,
        };
        fs::create_dir(dir.path().join("rules"))?;
        fs::write(dir.path().join("rules/slipway.yml"), rules)?;

        let targets = targets.iter().map(|(role, url)| {
            let address = url.trim_start_matches("http://").trim_end_matches('/');
            json!({"targets": [address], "labels": {"role": role}})
        });
        let targets = Value::from_iter(targets);
        fs::create_dir(dir.path().join("targets"))?;
        // JSON is YAML.
        fs::write(dir.path().join("targets/test.yml"), targets.to_string())?;

        let args = ["--config.file=prometheus.yml", "--storage.tsdb.path=data"];
        let server = Server::start("prometheus", &args.map(str::to_owned), dir).await?;
        let client = Client::new(&format!("http://{}/api/v1", server.address));
        Ok(Self {
            _server: server,
            client,
        })
    }

    /// The data of an answer of its API.
    ///
    /// # Errors
    /// If it refuses the request.
    async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let query = Serializer::new(String::new()).extend_pairs(query).finish();
        let mut answer = self.client.get(&format!("{path}?{query}")).await?.body;
        ensure!(answer["status"] == "success", "{path} {query:?}: {answer}");
        Ok(answer["data"].take())
    }

    /// The alerts that are not inactive.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn alerts(&self) -> anyhow::Result<Vec<Alert>> {
        let data = self.get("/alerts", &[]).await?;
        let alerts = data["alerts"].as_array().context("alerts")?.iter();
        let alerts = alerts.map(|alert| Alert {
            name: alert["labels"]["alertname"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            role: alert["labels"]["role"].as_str().map(str::to_owned),
            is_firing: alert["state"] == "firing",
        });
        Ok(alerts.collect())
    }

    /// The rules of a kind, `alert` or `record`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn rules(&self, kind: &str) -> anyhow::Result<Vec<Value>> {
        let data = self.get("/rules", &[("type", kind)]).await?;
        let groups = data["groups"].as_array().context("groups")?.iter();
        let rules = groups.filter_map(|group| group["rules"].as_array());
        Ok(rules.flatten().cloned().collect())
    }

    /// The values of an instant query that are numbers.
    ///
    /// # Errors
    /// If the query is wrong.
    pub async fn values(&self, query: &str) -> anyhow::Result<Vec<f64>> {
        let data = self.get("/query", &[("query", query)]).await?;
        let series = data["result"].as_array().context("a vector")?;
        let value = |series: &Value| series["value"][1].as_str()?.parse::<f64>().ok();
        let values = series.iter().filter_map(value);
        Ok(values.filter(|value| !value.is_nan()).collect())
    }
}

/// A running Alertmanager.
pub struct Alertmanager(Server);

impl Alertmanager {
    /// Starts it; it sends alerts to the gateway at `url`, with this secret, and waits for no
    /// others.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(url: &str, secret: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = Path::new(FILES).join("alertmanager/alertmanager.yml");
        let config = fs::read_to_string(file)?;
        let config = replace(&config, "http://gateway:8080", url.trim_end_matches('/'))?;
        let config = replace(&config, "/run/slipway/webhook-secret", "secret")?;
        let config = replace(&config, "group_wait: 5s", "group_wait: 1s")?;
        let config = replace(&config, "group_interval: 30s", "group_interval: 1s")?;
        fs::write(dir.path().join("alertmanager.yml"), config)?;
        fs::write(dir.path().join("secret"), secret)?;
        let args = [
            "--config.file=alertmanager.yml",
            "--storage.path=data",
            "--cluster.listen-address=",
        ];
        let args = args.map(str::to_owned);
        Ok(Self(
            Server::start("prometheus-alertmanager", &args, dir).await?,
        ))
    }
}
