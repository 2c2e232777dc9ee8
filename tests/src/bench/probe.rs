//! Measurements from the system and from the process itself.

use std::fs;

use anyhow::{Context as _, ensure};
use slipway_tests::{Client, Process};

/// Number of file descriptors that are not connections.
const OTHER_DESCRIPTORS: usize = 100;

/// Memory of a process, in MB (of 1,000,000 bytes).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// The current size (VmRSS).
    pub(crate) now: f64,
    /// The peak size (VmHWM).
    pub(crate) most: f64,
}

impl Memory {
    /// Of a running process.
    ///
    /// # Errors
    /// If the system does not tell: only Linux does.
    pub(crate) fn of(process: &Process) -> anyhow::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
        let field = |name: &str| -> anyhow::Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().next());
            Ok(kibibytes.context("a size")?.parse::<f64>()? * 1024.0 / 1e6)
        };
        Ok(Self {
            now: field("VmRSS:")?,
            most: field("VmHWM:")?,
        })
    }
}

/// The commit counters of the release service's database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Commits {
    count: f64,
    writes: f64,
    seconds: f64,
}

impl Commits {
    /// Reads the metrics of a process.
    ///
    /// # Errors
    /// If they are missing.
    pub(crate) async fn of(process: &Process) -> anyhow::Result<Self> {
        let answer = Client::new(&process.ops).get("/metrics").await?;
        let text = answer.body.as_str().context("metrics are text")?;
        let value = |name: &str| -> anyhow::Result<f64> {
            let name = format!("slipway_store_commit_{name}{{store=\"release\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&name));
            Ok(value.with_context(|| name.clone())?.parse()?)
        };
        Ok(Self {
            count: value("batch_size_count")?,
            writes: value("batch_size_sum")?,
            seconds: value("duration_seconds_sum")?,
        })
    }

    /// Average number of writes in one commit since `before`.
    pub(crate) fn writes_each(&self, before: &Self) -> f64 {
        (self.writes - before.writes) / (self.count - before.count).max(1.0)
    }

    /// Average time of a commit since `before`, in milliseconds.
    pub(crate) fn millis_each(&self, before: &Self) -> f64 {
        1000.0 * (self.seconds - before.seconds) / (self.count - before.count).max(1.0)
    }
}

/// Checks that this process, and the one it starts, may have this many connections.
///
/// # Errors
/// If not; the text says what to do.
pub(crate) fn connections_allowed(wanted: usize) -> anyhow::Result<()> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|line| line.split_whitespace().next())
        .context("a limit of open files")?;
    if limit == "unlimited" {
        return Ok(());
    }
    let limit: usize = limit.parse()?;
    let needed = wanted + OTHER_DESCRIPTORS;
    ensure!(
        needed <= limit,
        "{wanted} connections need {needed} open files and {limit} are allowed: \
         run `ulimit -n {needed}` first"
    );
    Ok(())
}

/// The machine in one line: processor, cores and load average.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cores} cores of {model}, load average {load} before")
}
