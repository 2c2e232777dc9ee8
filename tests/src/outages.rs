//! Kills each part of a mesh in turn, and waits for its alert and for the alert's end. A test does
//! so with fast scrapes; the program `slipway-outages` with the intervals of `monitoring/`, and
//! prints the table in docs/faults.md.

use std::{
    collections::BTreeSet,
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use notify_svc::testing::SmtpServer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::AbortHandle,
};

use crate::{
    Backbones, Client, Mesh, Role,
    monitoring::{Alert, Pace, Prometheus},
    until,
};

/// The alert about the machine that runs the tests.
const OF_THE_MACHINE: &str = "DiskNearlyFull";

/// A part of a mesh that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// MongoDB.
    Database,
    /// Kafka.
    Broker,
    /// All processes of a role.
    Role(Role),
    /// The mail server.
    MailServer,
    /// Ollama.
    Model,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 9] = [
        Self::Database,
        Self::Broker,
        Self::Role(Role::Release),
        Self::Role(Role::Forum),
        Self::Role(Role::Chat),
        Self::Role(Role::Notify),
        Self::Role(Role::Gateway),
        Self::MailServer,
        Self::Model,
    ];

    /// The alert, and the role that it names if it is about one.
    fn alert(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Database => ("DatabaseUnreachable", None),
            Self::Broker => ("BrokerUnreachable", None),
            Self::Role(role) => ("ServiceDown", Some(role.name())),
            Self::MailServer => ("MailServerUnreachable", None),
            Self::Model => ("ModelUnreachable", None),
        }
    }

    /// The role whose `/readyz` names it, and the beginning of the dependency's name. `None` for the
    /// gateway: no process depends on it.
    fn named(self) -> Option<(Role, &'static str)> {
        match self {
            Self::Database => Some((Role::Release, "store")),
            Self::Broker => Some((Role::Release, "bus")),
            Self::Role(Role::Release) => Some((Role::Gateway, "slipway.release.")),
            Self::Role(Role::Forum) => Some((Role::Gateway, "slipway.forum.")),
            Self::Role(Role::Chat) => Some((Role::Gateway, "slipway.chat.")),
            Self::Role(Role::Notify) => Some((Role::Gateway, "slipway.notify.")),
            Self::Role(Role::Gateway) => None,
            Self::MailServer => Some((Role::Notify, "mail server")),
            Self::Model => Some((Role::Chat, "model")),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("MongoDB"),
            Self::Broker => f.write_str("Kafka"),
            Self::Role(role) => write!(f, "both processes of {}", role.name()),
            Self::MailServer => f.write_str("mail server"),
            Self::Model => f.write_str("Ollama"),
        }
    }
}

/// What an outage of a part was like.
#[derive(Debug)]
pub struct Outage {
    part: Part,
    /// From the kill until its alert was firing.
    pub fired: Duration,
    /// What `/readyz` said about it meanwhile.
    readyz: String,
    /// From when it was back until its alert was over.
    pub resolved: Duration,
    /// Other alerts that were firing too.
    others: BTreeSet<String>,
}

impl fmt::Display for Outage {
    /// A row of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (alert, _) = self.part.alert();
        let others: Vec<_> = self.others.iter().map(String::as_str).collect();
        write!(
            f,
            "| {} | {alert} | {:.0} s | {} | {:.0} s | {} |",
            self.part,
            self.fired.as_secs_f64(),
            self.readyz,
            self.resolved.as_secs_f64(),
            others.join(", "),
        )
    }
}

/// A mesh whose parts are killed, and the Prometheus that watches it.
pub struct Scene {
    mesh: Mesh,
    prometheus: Prometheus,
    mail_at: SocketAddr,
    mail: Option<SmtpServer>,
    model_at: SocketAddr,
    model: Option<Model>,
}

impl Scene {
    /// Two processes of each role on these servers, with a mail server and a model.
    ///
    /// # Errors
    /// If something does not become ready.
    pub async fn set(backbones: Backbones, pace: Pace) -> anyhow::Result<Self> {
        let mail = SmtpServer::start().await;
        let model = Model::start("127.0.0.1:0".parse()?).await?;
        let ollama = format!("http://{}", model.address);
        let also = |options: crate::Options| {
            options
                .env("SLIPWAY_SMTP_URL", mail.url())
                .env("SLIPWAY_OLLAMA_URL", &ollama)
        };
        let mesh = Mesh::on_with(backbones, also).await?;
        let prometheus = Prometheus::start_at(pace, &mesh.ops(), None).await?;
        Ok(Self {
            prometheus,
            mail_at: mail.address(),
            mail: Some(mail),
            model_at: model.address,
            model: Some(model),
            mesh,
        })
    }

    /// Kills a part, waits until its alert fires, brings it back, and waits until the alert is over.
    ///
    /// # Errors
    /// If the alert does not fire or does not end, or `/readyz` does not name the part.
    pub async fn without(&mut self, part: Part) -> anyhow::Result<Outage> {
        self.is_well().await?;
        let killed = Instant::now();
        self.kill(part).await?;
        let firing = until(async || {
            let firing = self.firing().await?;
            ensure!(
                firing.iter().any(|alert| is_about(part, alert)),
                "{firing:?}"
            );
            Ok(firing)
        });
        let firing = firing.await.with_context(|| format!("without {part}"))?;
        let fired = killed.elapsed();
        let readyz = self.readyz(part).await?;

        self.revive(part).await?;
        let back = Instant::now();
        let ended = until(async || {
            let firing = self.firing().await?;
            ensure!(
                !firing.iter().any(|alert| is_about(part, alert)),
                "{firing:?}"
            );
            Ok(())
        });
        ended.await.with_context(|| format!("with {part} again"))?;
        let others = firing.iter().filter(|alert| !is_about(part, alert));
        Ok(Outage {
            part,
            fired,
            readyz,
            resolved: back.elapsed(),
            others: others.map(|alert| alert.name.clone()).collect(),
        })
    }

    /// Waits until every part is scraped and no alert is firing or about to.
    async fn is_well(&self) -> anyhow::Result<()> {
        let well = until(async || {
            let parts = self.prometheus.values("role:slipway_up:sum == 2").await?;
            ensure!(parts.len() == Role::ALL.len(), "{} roles", parts.len());
            let states = [
                "role:slipway_bus_up:min",
                "role:slipway_store_up:min",
                "role:slipway_mail_server_up:min",
                "role:slipway_model_up:min",
            ];
            for state in states {
                let values = self.prometheus.values(state).await?;
                ensure!(values.first() == Some(&1.0), "{state}: {values:?}");
            }
            let alerts = self.prometheus.alerts().await?;
            let mut alerts = alerts.iter().filter(|alert| alert.name != OF_THE_MACHINE);
            ensure!(alerts.next().is_none(), "{alerts:?}");
            Ok(())
        });
        well.await
    }

    async fn firing(&self) -> anyhow::Result<Vec<Alert>> {
        let mut alerts = self.prometheus.alerts().await?;
        alerts.retain(|alert| alert.is_firing && alert.name != OF_THE_MACHINE);
        Ok(alerts)
    }

    async fn kill(&mut self, part: Part) -> anyhow::Result<()> {
        match part {
            Part::Database => self.mesh.backbones()?.mongodb("kill").await?,
            Part::Broker => self.mesh.backbones()?.kafka("kill").await?,
            Part::Role(role) => {
                for n in 0..2 {
                    self.mesh.kill(role, n).await?;
                }
            }
            Part::MailServer => self.mail = None,
            Part::Model => self.model = None,
        }
        Ok(())
    }

    async fn revive(&mut self, part: Part) -> anyhow::Result<()> {
        match part {
            Part::Database => self.mesh.backbones()?.mongodb("start").await?,
            Part::Broker => self.mesh.backbones()?.kafka("start").await?,
            Part::Role(role) => {
                for n in 0..2 {
                    self.mesh.restart(role, n).await?;
                }
            }
            Part::MailServer => self.mail = Some(SmtpServer::start_on(self.mail_at).await),
            Part::Model => self.model = Some(Model::start(self.model_at).await?),
        }
        Ok(())
    }

    /// What `/readyz` says about a part that is away.
    async fn readyz(&self, part: Part) -> anyhow::Result<String> {
        let Some((role, name)) = part.named() else {
            return Ok("(no process depends on it)".to_owned());
        };
        // Each process learns by itself that the mail server is away.
        for n in 0..2 {
            let ready = Client::new(&self.mesh.process(role, n)?.ops);
            let ready = ready.get("/readyz").await?;
            let checks = ready.body["checks"].as_array().context("it has checks")?;
            for check in checks {
                let dependency = check["dependency"].as_str().unwrap_or_default();
                if let Some(problem) = check["problem"].as_str()
                    && dependency.starts_with(name)
                {
                    let (role, status) = (role.name(), ready.status);
                    return Ok(format!("{role} {status}: {dependency}: {problem}"));
                }
            }
        }
        bail!("/readyz does not name {name}");
    }
}

fn is_about(part: Part, alert: &Alert) -> bool {
    let (name, role) = part.alert();
    alert.name == name && role.is_none_or(|role| alert.role.as_deref() == Some(role))
}

/// A server that has every model, and nothing else of Ollama. Stops when dropped.
struct Model {
    address: SocketAddr,
    listening: AbortHandle,
}

impl Model {
    async fn start(address: SocketAddr) -> anyhow::Result<Self> {
        const DESCRIPTION: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
            content-length: 2\r\nconnection: close\r\n\r\n{}";
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let listening = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // It is the same answer for each request, so the rest of it does not matter.
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(DESCRIPTION).await;
                });
            }
        });
        Ok(Self {
            address,
            listening: listening.abort_handle(),
        })
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
