//! Developers, releases and tasks, created through the API before anything is measured.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use slipway_tests::{Options, Process, Team, team::task_ids};

use super::load::{Script, Shift, WARM_UP};

/// Tasks of a release.
const TASKS: usize = 10;

/// Number of releases created concurrently.
const AT_ONCE: usize = 16;

/// Rates for which enough tasks are prepared, in commands a second: of one client, and of all.
const FASTEST_CLIENT: usize = 3_000;
const FASTEST: usize = 15_000;

/// A script for each developer that is long enough for `time`: releases of ten tasks that are all
/// theirs, so that nobody waits for anybody.
///
/// # Errors
/// If the preparation fails.
pub(crate) async fn workers(
    team: &Team,
    developers: std::ops::Range<usize>,
    time: Duration,
) -> anyhow::Result<Vec<Script>> {
    let count = developers.len().max(1);
    let rate = FASTEST_CLIENT.min(FASTEST / count + 1);
    let seconds = (time + WARM_UP).as_secs_f64().ceil() as usize;
    // Each task gives two commands.
    let releases = (rate * seconds / 2).div_ceil(TASKS);
    let shifts = developers.map(|developer| shift(team, developer, releases));
    stream::iter(shifts)
        .buffered(AT_ONCE)
        .map_ok(Script::Work)
        .try_collect()
        .await
}

async fn shift(team: &Team, developer: usize, releases: usize) -> anyhow::Result<Shift> {
    let mut tasks = Vec::with_capacity(releases * TASKS);
    for n in 0..releases {
        let name = format!("release {n} of {developer}");
        let release = team.release(&name, &[developer; TASKS]).await?;
        tasks.extend(task_ids(&release));
    }
    Ok(Shift::new(tasks, team.developers[developer].token()))
}

/// Gives each of these developers ten tasks, in releases of twenty tasks shared with others, so
/// most of them are blocked. Each script reads the developer's tasks.
///
/// # Errors
/// If the preparation fails.
pub(crate) async fn readers(
    team: &Team,
    developers: std::ops::Range<usize>,
) -> anyhow::Result<Vec<Script>> {
    let all: Vec<_> = developers.collect();
    for n in 0..all.len().div_ceil(2) {
        let owners: Vec<_> = (0..2 * TASKS)
            .map(|task| all[(n * 2 * TASKS + task) % all.len()])
            .collect();
        team.release(&format!("shared release {n}"), &owners)
            .await?;
    }
    let script = |developer: usize| Script::get("/tasks/my", team.developers[developer].token());
    Ok(all.into_iter().map(script).collect())
}

/// A Slipway with this many developers.
///
/// # Errors
/// If it does not start.
pub(crate) async fn staffed(developers: usize) -> anyhow::Result<(Process, Team)> {
    let process = Process::start_with(&of_one_client(Options::default())).await?;
    let team = Team::new(&process, developers).await?;
    Ok((process, team))
}

/// Options for a benchmark in which all clients use one account and one address.
pub(crate) fn of_one_client(options: Options) -> Options {
    options
        .env("SLIPWAY_STREAMS_PER_USER", "100000")
        .env("SLIPWAY_PER_CLIENT_PERCENT", "100")
}
