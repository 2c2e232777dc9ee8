//! A complete Slipway for tests, in one of two shapes: one process with everything embedded, or two
//! replicas of each role as separate processes, on a real Kafka and a MongoDB-compatible server.
//! Tests use both in the same way.

mod replica;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::Context as _;
use futures::future::try_join_all;

use replica::Replica;
pub use replica::Role;

use crate::{ADMIN_PASSWORD, Backbones, Client, Options, Process, process::free_address, until};

/// Number of replicas of each role.
const REPLICAS: usize = 2;

/// The address for incident mails, if it runs on servers.
pub const ALERTED: &str = "ops@example.com";

/// A running Slipway.
pub struct Mesh {
    /// By role. The one-process shape has only a gateway, which serves everything.
    replicas: [Vec<Replica>; 5],
    /// A client for each gateway that was started first.
    clients: Vec<Client>,
    /// The next gateway to use.
    turn: AtomicUsize,
    /// Options for starting another replica of a service.
    base: Options,
    /// The same for a gateway, which uses no servers.
    gateway: Options,
    /// Addresses of the first replicas of notify-svc, which replicas that start earlier need.
    notify: [String; REPLICAS],
    backbones: Option<Backbones>,
}

impl Mesh {
    /// One process with everything embedded.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn one_process() -> anyhow::Result<Self> {
        Self::one_process_with(Options::default()).await
    }

    /// One process with everything embedded and these options.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn one_process_with(options: Options) -> anyhow::Result<Self> {
        let replica = Replica::start(options.clone()).await?;
        let clients = vec![replica.process()?.client()];
        Ok(Self {
            replicas: [
                Vec::new(),
                Vec::new(),
                Vec::new(),
                Vec::new(),
                vec![replica],
            ],
            clients,
            turn: AtomicUsize::new(0),
            gateway: options.clone(),
            base: options,
            notify: Default::default(),
            backbones: None,
        })
    }

    /// Two replicas of each role on their own servers. `None`, with a message on standard error, if
    /// tests on real servers are not enabled.
    ///
    /// # Errors
    /// If something does not become ready.
    pub async fn replicas() -> anyhow::Result<Option<Self>> {
        let Some(backbones) = Backbones::start().await? else {
            return Ok(None);
        };
        Self::on(backbones).await.map(Some)
    }

    /// Two replicas of each role on these servers.
    ///
    /// # Errors
    /// If something does not become ready.
    pub async fn on(backbones: Backbones) -> anyhow::Result<Self> {
        Self::on_with(backbones, |options| options).await
    }

    /// Two replicas of each role on these servers, all with the options that `also` adds.
    ///
    /// # Errors
    /// If something does not become ready.
    pub async fn on_with(
        backbones: Backbones,
        also: impl Fn(Options) -> Options,
    ) -> anyhow::Result<Self> {
        let base = also(backbones.options())
            .of_the_mesh()
            .env("SLIPWAY_ALERT_EMAILS", ALERTED)
            // Digests are sent after seconds.
            .env("SLIPWAY_MAIL_GATHER", "2s");
        let mut mesh = Self {
            replicas: [const { Vec::new() }; 5],
            clients: Vec::new(),
            turn: AtomicUsize::new(0),
            base,
            gateway: also(Options::default()).of_the_mesh(),
            notify: std::array::from_fn(|_| free_address()),
            backbones: Some(backbones),
        };
        for role in Role::ALL {
            let started = (0..REPLICAS).map(|n| Replica::start(mesh.options(role, n)));
            mesh.replicas[role as usize] = try_join_all(started).await?;
        }
        for gateway in &mesh.replicas[Role::Gateway as usize] {
            mesh.clients.push(gateway.process()?.client());
        }
        mesh.follows().await?;
        Ok(mesh)
    }

    /// Options of a replica of this role. It keeps its addresses when it is restarted; they are
    /// below the ports that the system assigns.
    fn options(&self, role: Role, n: usize) -> Options {
        let grpc = match (role, self.notify.get(n)) {
            (Role::Notify, Some(address)) => address.clone(),
            _ => free_address(),
        };
        let own = |options: Options| {
            options
                .arg(role.name())
                .env("SLIPWAY_HTTP_ADDR", free_address())
                .env("SLIPWAY_OPS_ADDR", free_address())
                .env("SLIPWAY_GRPC_ADDR", &grpc)
        };
        let notify = self
            .notify
            .each_ref()
            .map(|address| format!("http://{address}"));
        let notify = notify.join(",");
        match role {
            Role::Release => own(self.base.clone()).env("SLIPWAY_NOTIFY_URL", notify),
            Role::Forum | Role::Chat => own(self.base.clone())
                .env("SLIPWAY_RELEASE_URL", self.urls(Role::Release))
                .env("SLIPWAY_NOTIFY_URL", notify),
            Role::Notify => {
                own(self.base.clone()).env("SLIPWAY_RELEASE_URL", self.urls(Role::Release))
            }
            Role::Gateway => own(self.gateway.clone())
                .env("SLIPWAY_RELEASE_URL", self.urls(Role::Release))
                .env("SLIPWAY_FORUM_URL", self.urls(Role::Forum))
                .env("SLIPWAY_CHAT_URL", self.urls(Role::Chat))
                .env("SLIPWAY_NOTIFY_URL", self.urls(Role::Notify)),
        }
    }

    /// The URLs of all running replicas of this role.
    fn urls(&self, role: Role) -> String {
        let replicas = self.replicas[role as usize].iter();
        let running = replicas.filter_map(|replica| replica.process.as_ref());
        let urls: Vec<_> = running.map(|process| process.grpc.as_str()).collect();
        urls.join(",")
    }

    /// Waits until every gateway follows the activity feed.
    ///
    /// # Errors
    /// If nobody can sign in.
    pub async fn follows(&self) -> anyhow::Result<()> {
        let admin = self.admin().await?;
        for client in self.everywhere(&admin) {
            until(async || client.stream("", None).await).await?;
        }
        Ok(())
    }

    /// Base URL of a gateway.
    ///
    /// # Errors
    /// If it is not running.
    pub fn http(&self) -> anyhow::Result<&str> {
        Ok(&self.process(Role::Gateway, 0)?.http)
    }

    /// A client that is not signed in, at each gateway in turn.
    #[must_use]
    pub fn client(&self) -> Client {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.clients[turn % self.clients.len()].clone()
    }

    /// A client signed in as the first admin.
    ///
    /// # Errors
    /// If signing in fails.
    pub async fn admin(&self) -> anyhow::Result<Client> {
        self.client().login("admin", ADMIN_PASSWORD).await
    }

    /// The same user at each gateway.
    #[must_use]
    pub fn everywhere(&self, client: &Client) -> Vec<Client> {
        let at = |gateway: &Client| gateway.with_token(client.token());
        self.clients.iter().map(at).collect()
    }

    /// The same user at each gateway in turn.
    #[must_use]
    pub fn anywhere(&self, client: &Client) -> Client {
        self.client().with_token(client.token())
    }

    /// The servers that it runs on.
    ///
    /// # Errors
    /// If everything is embedded.
    pub fn backbones(&self) -> anyhow::Result<&Backbones> {
        self.backbones.as_ref().context("everything is embedded")
    }

    /// A running process.
    ///
    /// # Errors
    /// If there is no running replica with this number.
    pub fn process(&self, role: Role, n: usize) -> anyhow::Result<&Process> {
        let replica = self.replicas[role as usize].get(n);
        replica.context("there is no such replica")?.process()
    }

    /// The ops ports of all running processes, each with its role.
    #[must_use]
    pub fn ops(&self) -> Vec<(&'static str, String)> {
        let of = |role: Role| {
            let name = match self.backbones {
                None => "all",
                Some(_) => role.name(),
            };
            let running = self.replicas[role as usize].iter();
            let running = running.filter_map(|replica| replica.process.as_ref());
            running.map(move |process| (name, process.ops.clone()))
        };
        Role::ALL.into_iter().flat_map(of).collect()
    }

    /// Kills a process as a power failure would.
    ///
    /// # Errors
    /// If it is not running.
    pub async fn kill(&mut self, role: Role, n: usize) -> anyhow::Result<()> {
        let replica = &mut self.replicas[role as usize][n];
        let process = replica.process.take().context("the process is gone")?;
        process.kill().await?;
        Ok(())
    }

    /// Stops a process gracefully.
    ///
    /// # Errors
    /// If it is not running, or ends with an error.
    pub async fn stop(&mut self, role: Role, n: usize) -> anyhow::Result<()> {
        let replica = &mut self.replicas[role as usize][n];
        let process = replica.process.take().context("the process is gone")?;
        process.signal("TERM").await?;
        let (status, log) = process.ended().await?;
        anyhow::ensure!(
            status.success(),
            "{} ended with {status}: {log}",
            role.name()
        );
        Ok(())
    }

    /// Starts a stopped process again.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn restart(&mut self, role: Role, n: usize) -> anyhow::Result<()> {
        let replica = &mut self.replicas[role as usize][n];
        let data = Arc::clone(&replica.data);
        replica.process = Some(Process::start_on(data, &replica.options).await?);
        Ok(())
    }

    /// Starts one more replica of a role; returns its number.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn add(&mut self, role: Role) -> anyhow::Result<usize> {
        let n = self.replicas[role as usize].len();
        let replica = Replica::start(self.options(role, n)).await?;
        self.replicas[role as usize].push(replica);
        Ok(n)
    }
}

/// Defines tests of these functions, which take a [`Mesh`], in both shapes.
#[macro_export]
macro_rules! in_both_shapes {
    ($($behaviour:ident),+ $(,)?) => {
        mod one_process {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $behaviour() {
                super::$behaviour($crate::Mesh::one_process().await.unwrap()).await;
            })+
        }

        mod replicas {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $behaviour() {
                if let Some(mesh) = $crate::Mesh::replicas().await.unwrap() {
                    super::$behaviour(mesh).await;
                }
            })+
        }
    };
}
