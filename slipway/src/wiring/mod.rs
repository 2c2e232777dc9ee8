//! Runs a serving process: bind, connect, migrate, serve, drain.
//!
//! Addresses are bound before anything is created, so that a start that fails because an address
//! is in use leaves no data and no first admin behind. Connections made before the process serves
//! wait until it does.
//!
//! Wiring only calls each service's `Config::build`.
//!
//! | to find | look in |
//! | --- | --- |
//! | the services of each role, and their links | `mesh` |
//! | the configuration and dependencies of each service | `services` |
//! | access control | `access`, `ended` |
//! | limits on connections and requests | `limits` |
//! | the health of a process for administrators | `process` |
//! | the databases | `storage`, `embedded`, `data_dir` |
//! | Kafka | `bus` |
//! | backups by the process itself | `backups` |
//! | the delivery of alarms | `alarms` |
//! | certificates that change | `tls` |
//! | listeners and the start message | `ready` |

mod access;
mod alarms;
mod backups;
pub(crate) mod bus;
pub(crate) mod data_dir;
mod embedded;
mod ended;
mod limits;
mod mesh;
mod process;
mod ready;
mod services;
mod storage;
mod tls;

use std::{
    fs,
    path::PathBuf,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use slipway_rpc::{
    grpc::GrpcHealth,
    http::{self, Protocol, Serving},
};
use slipway_runtime::{
    life::{self, Background, Health, Phase},
    telemetry::metrics,
};
use slipway_sqlite as sqlite;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::storage::with_release_stores;
use self::{backups::Backups, ready::Listeners};
use crate::{
    cli::Role,
    config::Settings,
    version::{FEATURES, VERSION},
};

/// Minimum time for background work to finish and commit its batch, or the mail it is sending,
/// after the last request is answered.
const BACKGROUND_DEADLINE: Duration = Duration::from_secs(1);

/// How long the databases of the data directory may take to close.
pub(crate) const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// Interval between checks of the services' health for gRPC health watchers.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

/// Runs `role` until the process is signalled to stop, then drains.
///
/// # Errors
/// If it cannot start, or a listener fails.
pub async fn run(
    role: Role,
    settings: Settings,
    ready_file: Option<PathBuf>,
) -> anyhow::Result<()> {
    let life = Life::default();
    let ended = live(role, settings, ready_file, &life).await;
    if ended.is_err() {
        life.leave_whole(BACKGROUND_DEADLINE).await;
    }
    ended
}

async fn live(
    role: Role,
    settings: Settings,
    ready_file: Option<PathBuf>,
    life: &Life,
) -> anyhow::Result<()> {
    let metrics = metrics::init(settings.data_dir.clone()).context("metrics cannot be recorded")?;
    slipway_rpc::metrics::describe();
    slipway_bus::metrics::describe();
    slipway_store::metrics::describe();
    slipway_sqlite::metrics::describe();
    crate::metrics::describe();
    metrics::own::build_info(VERSION, role.as_str(), FEATURES);
    life.watch_signals()?;
    life::survive_file_size_limit()?;
    if let Some(path) = &ready_file {
        ready::prepare_ready_file(path)?;
    }
    let listeners = Listeners::bind(role, &settings)?;
    let public_url = listeners.public_url(&settings)?;
    // Not dropped before the end, even if it is cancelled: it holds the lock on the data directory.
    let tls = settings.tls()?;
    let mut building = pin!(mesh::build(role, &settings, public_url, &tls, life));
    let built = life.drain.run_until_cancelled(building.as_mut()).await;
    let Some(built) = built.transpose()? else {
        life.leave_whole(BACKGROUND_DEADLINE).await;
        tracing::info!("stopped during the start");
        return Ok(());
    };
    let addresses = listeners.addresses()?;
    tls::follow_files(&settings, &tls, &life.background);
    if let Some(backups) = Backups::of(role, &settings) {
        backups.spawn(&life.background);
    }

    let servers = TaskTracker::new();
    let stop_upkeep = CancellationToken::new();
    tokio::spawn(metrics.clone().upkeep(stop_upkeep.clone()));
    let ops = life::ops_router(life.health.clone(), metrics);
    let ops_stop = CancellationToken::new();
    let serving = limits::ops();
    tokio::spawn(http::serve(listeners.ops, ops, serving, ops_stop.clone()));
    let connections = limits::clients(&settings);
    if let (Some(listener), Some(router)) = (listeners.http, built.router) {
        let serving = Serving {
            name: "http",
            protocol: Protocol::Http,
            connections: connections.clone(),
            tls: tls.http.clone(),
            refusal: gateway::refusal,
            drain: settings.drain_deadline,
        };
        servers.spawn(http::serve(listener, router, serving, life.drain.clone()));
    }
    if let (Some(listener), Some(server)) = (listeners.grpc, built.grpc) {
        life.report_health(server.health());
        let (drain, deadline) = (life.drain.clone(), settings.drain_deadline);
        servers.spawn(server.serve(listener, connections, drain, deadline));
    }
    servers.close();

    life.health.enter(Phase::Serving);
    if let Some(path) = &ready_file {
        addresses.write(path)?;
    }
    addresses.announce(role, &settings);

    life.drain.cancelled().await;
    tracing::info!("draining");
    let begun = Instant::now();
    life.health.enter(Phase::Draining);
    if let Some(path) = &ready_file {
        // The process is not ready any more; the next start removes the file as well.
        let _ = fs::remove_file(path);
    }
    servers.wait().await;
    let rest = settings.drain_deadline.saturating_sub(begun.elapsed());
    life.leave_whole(rest.max(BACKGROUND_DEADLINE)).await;
    if let Some(data) = &built.lock
        && let Err(error) = data.note_closed()
    {
        tracing::warn!(%error, "failed to note what the databases are; a later restore of only some may not be noticed");
    }
    ops_stop.cancel();
    stop_upkeep.cancel();
    drop(built.lock);
    tracing::info!("stopped");
    Ok(())
}

/// The lifecycle handles that the parts of a process share.
#[derive(Default)]
struct Life {
    health: Health,
    background: Background,
    /// Cancelled when the process begins to drain.
    drain: CancellationToken,
}

impl Life {
    /// Stops the background work, which may take `limit`, and then closes every database of the
    /// data directory, so that each is complete in its file.
    async fn leave_whole(&self, limit: Duration) {
        self.background.stop(limit).await;
        sqlite::close_all(CLOSE_DEADLINE).await;
    }

    /// Starts to drain at the first terminating signal, and exits at the second. SIGHUP stays
    /// ignored if the process was started with `nohup`.
    fn watch_signals(&self) -> anyhow::Result<()> {
        let mut kinds = vec![
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::quit(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
        ];
        if !life::ignores_hangup() {
            kinds.push(SignalKind::hangup());
        }
        for kind in kinds {
            let (mut signal, drain) = (signal(kind)?, self.drain.clone());
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    if drain.is_cancelled() {
                        tracing::warn!("second signal received; exiting at once");
                        std::process::exit(1);
                    }
                    drain.cancel();
                }
            });
        }
        Ok(())
    }

    /// Keeps `grpc.health.v1` up to date until the drain; from then on the server itself reports
    /// NOT_SERVING.
    fn report_health(&self, grpc: GrpcHealth) {
        let (health, drain) = (self.health.clone(), self.drain.clone());
        self.background.spawn("health", move |_| {
            let (grpc, health, drain) = (grpc.clone(), health.clone(), drain.clone());
            async move {
                loop {
                    let findings = health.findings().await;
                    if drain.is_cancelled() {
                        return;
                    }
                    grpc.report(|service| {
                        findings
                            .iter()
                            .filter(|finding| service.is_empty() || finding.service == service)
                            .all(|finding| !finding.prevents())
                    })
                    .await;
                    tokio::select! {
                        () = drain.cancelled() => return,
                        () = tokio::time::sleep(HEALTH_EVERY) => {}
                    }
                }
            }
        });
    }
}
