//! Floods of hostile clients: their cost, and the effect on other clients.
//!
//! Each flood comes from other loopback addresses than the measured clients and runs on its own
//! low-priority thread, for as long as a row is measured. Memory is the server's resident memory:
//! before, the peak, and some time after the flood.

mod attacks;
mod frames;

use std::{
    fs,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use slipway_tests::{Options, Process, Team};

use super::{
    Plan, address,
    load::{self, histogram, millis, note},
    probe::{Memory, connections_allowed},
    report::Line,
    wire::{self, Connection},
    work,
};

/// Number of accounts in a flood.
const ACCOUNTS: usize = 150;

/// Number of activity entries that a reader may ask for.
const ENTRIES: usize = 2_000;

/// Delay between two requests of the measured client.
const READ_PAUSE: Duration = Duration::from_millis(10);

/// Delay between two health checks.
const HEALTH_PAUSE: Duration = Duration::from_millis(200);

/// How long after a flood the server may take to free memory.
const REST: Duration = Duration::from_secs(20);

const READ_P99_MS: f64 = 100.0;
const HEALTH_MS: f64 = 1_000.0;
const PEAK_MB: f64 = 500.0;

/// The target of an attack.
#[derive(Clone)]
struct Victim {
    http: SocketAddr,
    grpc: SocketAddr,
    tokens: Arc<Vec<String>>,
    /// Number of idle connections in the flood `silent`.
    idle: usize,
    over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Victim {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn note_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

type Attack = fn(Victim) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// The floods, with their descriptions.
const ATTACKS: &[(&str, Attack)] = &[
    (
        "gRPC calls that never send their message, 4 connections",
        |victim| Box::pin(attacks::open_calls(victim)),
    ),
    (
        "gRPC calls of made-up methods, 4 kB each, 4 connections",
        |victim| Box::pin(attacks::unknown_methods(victim)),
    ),
    ("silent connections, reopened when closed", |victim| {
        Box::pin(attacks::silent(victim))
    }),
    ("1,000 connections that send a byte a second", |victim| {
        Box::pin(attacks::slow(victim))
    }),
    ("1,000 sign-ins with bodies of 1 MiB", |victim| {
        Box::pin(attacks::large_bodies(victim))
    }),
    (
        "3,000 streams of activity of 150 accounts that nobody reads",
        |victim| Box::pin(attacks::unread_streams(victim, ACCOUNTS)),
    ),
    ("3,000 of one account", |victim| {
        Box::pin(attacks::unread_streams(victim, 1))
    }),
    (
        "3,000 gRPC `Watch` of one account that nobody reads",
        |victim| Box::pin(attacks::unread_watches(victim)),
    ),
];

/// Each flood by itself, then all at once.
pub(super) async fn floods(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    connections_allowed(plan.streams + 8_000)?;
    let mut floods: Vec<(&str, Vec<Attack>)> = Vec::new();
    for (what, attack) in ATTACKS {
        floods.push((what, vec![*attack]));
    }
    let all = ATTACKS.iter().map(|(_, attack)| *attack).collect();
    floods.push(("all of these at once", all));
    let mut lines = Vec::new();
    for (what, attacks) in floods {
        if what.contains(&plan.flood) {
            lines.push(flood(plan, what, &attacks).await?);
        }
    }
    Ok(lines)
}

/// Reads for the given time, while nobody scrapes the metrics.
pub(super) async fn soak(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let (process, team) = work::staffed(plan.clients).await?;
    let mut memory = Vec::new();
    let mut reads = 0;
    for _ in 0..3 {
        let scripts = work::readers(&team, 0..plan.clients).await?;
        let outcome = load::run(address(&process)?, scripts, plan.time / 3).await?;
        reads += outcome.times.len();
        memory.push(Memory::of(&process)?.now);
    }
    let grown = memory[2] - memory[1];
    let line = Line::new(
        "memory while nobody scrapes the metrics",
        format!(
            "{reads} reads; {:.0} MB after a third of them, {:.0} MB after two, {:.0} MB after all",
            memory[0], memory[1], memory[2]
        ),
    );
    Ok(vec![
        line.target("flat", grown <= memory[1] * 0.05)
            .figures(&[("reads", reads as f64), ("grownMb", grown)]),
    ])
}

async fn flood(plan: &Plan, what: &str, attacks: &[Attack]) -> anyhow::Result<Line> {
    let process = Process::start_with(&Options::default()).await?;
    let team = Team::new(&process, ACCOUNTS).await?;
    fill_wall(&team).await?;
    let tokens = team.developers.iter().map(|one| one.token().to_owned());
    let grpc = process.grpc.strip_prefix("http://").context("plain gRPC")?;
    let victim = Victim {
        http: address(&process)?,
        grpc: grpc.parse()?,
        tokens: Arc::new(tokens.collect()),
        idle: plan.streams,
        over: Arc::default(),
        sent: Arc::default(),
        refused: Arc::default(),
    };
    // The peak during the preparation must not count.
    fs::write(format!("/proc/{}/clear_refs", process.pid()), "5")?;
    let before = Memory::of(&process)?.now;
    let attackers = spawn(attacks, &victim);
    let (reads, health) = tokio::join!(
        read_meanwhile(&victim, plan.time),
        ask_health(&process, plan.time)
    );
    victim.over.store(true, Ordering::Relaxed);
    for attacker in attackers {
        let ended = tokio::task::spawn_blocking(move || attacker.join());
        ensure!(ended.await?.is_ok(), "an attacker panicked");
    }
    tokio::time::sleep(REST).await;
    let after = Memory::of(&process)?;
    let (reads, health) = (reads?, health?);
    let (p50, p99) = (millis(&reads, 0.5), millis(&reads, 0.99));
    let (sent, refused) = (
        victim.sent.load(Ordering::Relaxed),
        victim.refused.load(Ordering::Relaxed),
    );
    let line = Line::new(
        what,
        format!(
            "{sent} sent, {refused} refused; memory {before:.0} → {:.0} → {:.0} MB; \
             a read p50 {p50:.1} ms, p99 {p99:.1} ms; health at most {health:.0} ms",
            after.most, after.now
        ),
    );
    let met = p99 <= READ_P99_MS
        && health <= HEALTH_MS
        && after.most <= PEAK_MB
        && after.now <= before * 1.2;
    let figures = [
        ("beforeMb", before),
        ("peakMb", after.most),
        ("afterMb", after.now),
        ("readP99Ms", p99),
        ("healthMs", health),
    ];
    Ok(line
        .target("read p99 100 ms, health 1 s, 500 MB, back within 20 %", met)
        .figures(&figures))
}

/// Runs each attack on its own thread, so that the attacks neither wait for each other nor delay
/// what is measured.
fn spawn(attacks: &[Attack], victim: &Victim) -> Vec<std::thread::JoinHandle<()>> {
    let run = |attack: Attack, victim: Victim| {
        std::thread::spawn(move || {
            // On Linux, the priority is per thread. Real floods come from other machines, so they
            // must not take CPU time from the server here.
            let _ = rustix::process::setpriority_process(None, 10);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime needs no more than this process has");
            runtime.block_on(attack(victim));
        })
    };
    attacks
        .iter()
        .map(|attack| run(*attack, victim.clone()))
        .collect()
}

/// Creates entries for the streams that read everything.
async fn fill_wall(team: &Team) -> anyhow::Result<()> {
    // A release creates one entry, and two for each of its tasks.
    for n in 0..ENTRIES / 20 {
        team.release(&format!("release {n}"), &[0; 10]).await?;
    }
    Ok(())
}

/// The times of a signed-in user's reads. A failure counts as one minute.
async fn read_meanwhile(victim: &Victim, time: Duration) -> anyhow::Result<Histogram<u64>> {
    let request = format!("GET /tasks/my{}", wire::tail(&victim.tokens[0])).into_bytes();
    let (end, mut times) = (Instant::now() + time, histogram());
    let mut connection = None;
    while Instant::now() < end {
        let begun = Instant::now();
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Connection::open(victim.http).await {
                Ok(open) => open,
                Err(_) => {
                    note(&mut times, Duration::from_secs(60));
                    continue;
                }
            },
        };
        match open.call(&request).await {
            Ok(200) => {
                note(&mut times, begun.elapsed());
                connection = Some(open);
            }
            Ok(_) | Err(_) => note(&mut times, Duration::from_secs(60)),
        }
        tokio::time::sleep(READ_PAUSE).await;
    }
    Ok(times)
}

/// The longest time of an answer from `/healthz`, in milliseconds.
async fn ask_health(process: &Process, time: Duration) -> anyhow::Result<f64> {
    let ops: SocketAddr = process
        .ops
        .strip_prefix("http://")
        .context("HTTP")?
        .parse()?;
    let request = b"GET /healthz HTTP/1.1\r\nhost: slipway\r\n\r\n";
    let (end, mut longest) = (Instant::now() + time, Duration::ZERO);
    while Instant::now() < end {
        let begun = Instant::now();
        let answer = async { Connection::open(ops).await?.call(request).await };
        let answered = tokio::time::timeout(Duration::from_secs(10), answer).await;
        ensure!(
            matches!(answered, Err(_) | Ok(Ok(200))),
            "health was not answered: {answered:?}"
        );
        longest = longest.max(begun.elapsed());
        tokio::time::sleep(HEALTH_PAUSE).await;
    }
    Ok(longest.as_secs_f64() * 1000.0)
}

/// A sign-in with a body of 1 MiB.
fn large_sign_in() -> Vec<u8> {
    let body = json!({"username": "ada", "password": "x".repeat(1024 * 1024 - 100)});
    wire::post("/auth/login", &body, "none")
}
