//! The stream of activity: how fast entries reach many clients, and the memory of each client.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use slipway_tests::{Process, Team, team::task_ids};
use tokio::time::MissedTickBehavior;

use super::{
    Plan, address,
    arrivals::{Arrivals, Delays},
    load::{Shift, millis},
    probe::{Memory, connections_allowed},
    report::Line,
    wire::Connection,
    work,
};

/// Number of clients in the row `fanout`.
const LISTENERS: usize = 1_000;

/// Time between two commands: ten a second, as from a hundred developers who each start or complete
/// a task every ten seconds.
const PACE: Duration = Duration::from_millis(100);

/// Number of commands in the row `streams`, to check that every client is still connected.
const ROLL_CALL: usize = 20;

const FANOUT_P99_MS: f64 = 250.0;
const TARGET_STREAMS: f64 = 20_000.0;
const TARGET_MB: f64 = 500.0;

/// Measures from the sending of a command to the arrival of its entry at each of 1,000 clients.
pub(super) async fn fanout(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    connections_allowed(LISTENERS)?;
    let (process, team) = work::staffed(1).await?;
    let commands = (plan.time.as_secs_f64() / PACE.as_secs_f64()).ceil() as usize;
    let mut stage = Stage::set(&process, &team, commands).await?;
    let token = team.developers[0].token();
    let arrivals = Arc::new(Arrivals::default());
    arrivals
        .listen(address(&process)?, token, LISTENERS)
        .await?;
    let delays = stage.play(&arrivals, commands).await?;

    let each = [0.5, 0.99].map(|quantile| millis(&delays.each, quantile));
    let last = [0.5, 0.99].map(|quantile| millis(&delays.last, quantile));
    let line = Line::new(
        format!("commit → on every stream, {LISTENERS} clients"),
        format!(
            "p50 {:.1} ms, p99 {:.1} ms; the last client of each: p50 {:.1} ms, p99 {:.1} ms",
            each[0], each[1], last[0], last[1]
        ),
    );
    Ok(vec![
        line.target("p99 250 ms", each[1] <= FANOUT_P99_MS)
            .figures(&[("p50Ms", each[0]), ("p99Ms", each[1])])
            .figures(&[("lastP50Ms", last[0]), ("lastP99Ms", last[1])]),
    ])
}

/// Measures the memory of many clients, all of which receive some entries.
pub(super) async fn held(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    connections_allowed(plan.streams)?;
    let (process, team) = work::staffed(1).await?;
    let mut stage = Stage::set(&process, &team, ROLL_CALL).await?;
    let before = Memory::of(&process)?;
    let arrivals = Arc::new(Arrivals::default());
    let token = team.developers[0].token();
    arrivals
        .listen(address(&process)?, token, plan.streams)
        .await?;
    let Delays { last, .. } = stage.play(&arrivals, ROLL_CALL).await?;
    let after = Memory::of(&process)?;

    let streams = plan.streams as f64;
    let each = (after.most - before.now) / streams;
    let at_target = before.now + each * TARGET_STREAMS;
    let how = if streams < TARGET_STREAMS {
        format!("so 20,000 would take {at_target:.0} MB")
    } else {
        "all of them got every entry".to_owned()
    };
    let line = Line::new(
        format!("stream clients held, {}", plan.streams),
        format!(
            "{:.0} MB at most, {:.1} KB a client, {how}; last client p99 {:.0} ms",
            after.most,
            each * 1000.0,
            millis(&last, 0.99),
        ),
    );
    let figures = [
        ("clients", streams),
        ("peakMb", after.most),
        ("kbPerClient", each * 1000.0),
        ("mbAt20000", at_target),
    ];
    Ok(vec![
        line.target("20,000 in 500 MB", at_target <= TARGET_MB)
            .figures(&figures),
    ])
}

/// A developer who sends commands, one after the other, while clients listen.
struct Stage {
    address: SocketAddr,
    shift: Shift,
    /// The number of the last entry before the first command.
    position: u64,
}

impl Stage {
    /// Prepares this many commands and waits until the stream is quiet.
    async fn set(process: &Process, team: &Team, commands: usize) -> anyhow::Result<Self> {
        // One more command, to find the current end of the log.
        let tasks = (commands + 1).div_ceil(2);
        let release = team.release("stage", &vec![0; tasks]).await?;
        let mut stage = Self {
            address: address(process)?,
            shift: Shift::new(task_ids(&release), team.developers[0].token()),
            position: 0,
        };
        let mut connection = Connection::open(stage.address).await?;
        stage.act(&mut connection).await?;
        let first = team.admin.seen(|entry| entry["type"] == "task.started");
        let sequence = first.await?["sequence"].as_u64();
        stage.position = sequence.context("entries are numbered")?;
        Ok(stage)
    }

    /// Sends the commands at their pace.
    async fn play(&mut self, arrivals: &Arrivals, commands: usize) -> anyhow::Result<Delays> {
        // A new connection: the server closes connections that are idle while clients connect.
        let mut connection = Connection::open(self.address).await?;
        arrivals.begin(self.position + 1);
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..commands {
            pace.tick().await;
            // Completing a task also makes the next task, or the release, ready.
            arrivals.send(if self.shift.is_at_work() { 2 } else { 1 });
            self.act(&mut connection).await?;
        }
        arrivals.delays().await
    }

    async fn act(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        let mut request = Vec::new();
        ensure!(self.shift.next(&mut request), "there are tasks enough");
        let status = connection.call(&request).await?;
        ensure!(status == 200, "a command was answered with {status}");
        Ok(())
    }
}
