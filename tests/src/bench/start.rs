//! Start-up on existing data, and memory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use slipway_tests::{Options, Process};
use tempfile::TempDir;

use super::{
    Plan, address,
    load::{self, Script},
    probe::Memory,
    report::Line,
    wire::{self, Connection},
    work,
};

/// Number of starts, of which the median is reported.
const STARTS: usize = 7;

/// Developers in the existing data, each with ten tasks.
const DEVELOPERS: usize = 50;

/// Delay after a start before the memory of an idle process is read.
const SETTLE: Duration = Duration::from_secs(3);

const START_MS: f64 = 300.0;
const IDLE_MB: f64 = 60.0;
const LOADED_MB: f64 = 200.0;

/// Measures from before the process starts to the end of its first answer.
pub(super) async fn start() -> anyhow::Result<Vec<Line>> {
    let (data, token) = existing_data().await?;
    let request = format!("GET /tasks/my{}", wire::tail(&token)).into_bytes();
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        let process = Process::start_on(Arc::clone(&data), &Options::default()).await?;
        let status = Connection::open(address(&process)?)
            .await?
            .call(&request)
            .await?;
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
        ensure!(
            status == 200,
            "the first request was answered with {status}"
        );
        stop(process).await?;
    }
    times.sort_by(f64::total_cmp);
    let (median, slowest) = (times[STARTS / 2], times[STARTS - 1]);
    let line = Line::new(
        "from start to first answered request, existing data",
        format!("{median:.0} ms (slowest of {STARTS}: {slowest:.0} ms)"),
    );
    let figures = [("medianMs", median), ("slowestMs", slowest)];
    Ok(vec![
        line.target("300 ms", median <= START_MS).figures(&figures),
    ])
}

/// Resident memory: idle after a start on existing data, then under mixed load.
pub(super) async fn memory(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let (data, _) = existing_data().await?;
    let process = Process::start_on(data, &Options::default()).await?;
    tokio::time::sleep(SETTLE).await;
    let idle = Memory::of(&process)?;
    stop(process).await?;

    let half = plan.clients / 2;
    let (process, team) = work::staffed(plan.clients).await?;
    let mut scripts: Vec<Script> = work::readers(&team, half..plan.clients).await?;
    scripts.extend(work::workers(&team, 0..half, plan.time).await?);
    let prepared = Memory::of(&process)?;
    load::run(address(&process)?, scripts, plan.time).await?;
    let loaded = Memory::of(&process)?;
    Ok(vec![
        Line::new("memory, idle", format!("{:.0} MB", idle.now))
            .target("60 MB", idle.now <= IDLE_MB)
            .figures(&[("rssMb", idle.now), ("peakMb", idle.most)]),
        Line::new(
            "memory, under load",
            format!(
                "{:.0} MB, at most {:.0} MB ({:.0} MB before the load)",
                loaded.now, loaded.most, prepared.now
            ),
        )
        .target("200 MB", loaded.most <= LOADED_MB)
        .figures(&[("rssMb", loaded.now), ("peakMb", loaded.most)]),
    ])
}

/// A data directory with data, and a token that is valid for it.
async fn existing_data() -> anyhow::Result<(Arc<TempDir>, String)> {
    let (process, team) = work::staffed(DEVELOPERS).await?;
    work::readers(&team, 0..DEVELOPERS).await?;
    let token = team.developers[0].token().to_owned();
    let data = Arc::clone(&process.data);
    stop(process).await?;
    Ok((data, token))
}

async fn stop(process: Process) -> anyhow::Result<()> {
    process.signal("TERM").await?;
    let (status, log) = process.ended().await?;
    ensure!(status.success(), "it ended with {status}: {log}");
    Ok(())
}
