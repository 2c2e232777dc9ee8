//! Commands and reads a second.

use slipway_tests::{Backbones, Process, Team};

use super::{
    Plan, address,
    load::{self, Outcome},
    probe::Commits,
    report::Line,
    work,
};

/// The targets of the operator's contract.
const COMMANDS_A_SECOND: f64 = 2_000.0;
const READS_A_SECOND: f64 = 10_000.0;
const COMMAND_P99_MS: f64 = 50.0;
const READ_P99_MS: f64 = 10.0;

/// Starts and completes tasks; each is answered after it is on disk.
pub(super) async fn commands(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let (process, team) = work::staffed(plan.clients).await?;
    let scripts = work::workers(&team, 0..plan.clients, plan.time).await?;
    let outcome = load::run(address(&process)?, scripts, plan.time).await?;
    let who = format!("{} clients", plan.clients);
    Ok(command_lines(&who, &outcome))
}

/// Each developer repeatedly reads their own tasks.
pub(super) async fn reads(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let (process, team) = work::staffed(plan.clients).await?;
    let scripts = work::readers(&team, 0..plan.clients).await?;
    let outcome = load::run(address(&process)?, scripts, plan.time).await?;
    let who = format!("{} clients", plan.clients);
    Ok(read_lines(&who, &outcome))
}

/// Half of the clients send commands, the other half reads.
pub(super) async fn mixed(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let (process, team) = work::staffed(plan.clients).await?;
    let half = plan.clients / 2;
    let readers = work::readers(&team, half..plan.clients).await?;
    let workers = work::workers(&team, 0..half, plan.time).await?;
    let address = address(&process)?;
    let (commands, reads) = tokio::try_join!(
        load::run(address, workers, plan.time),
        load::run(address, readers, plan.time),
    )?;
    let (some, others) = (half, plan.clients - half);
    let mut lines = command_lines(&format!("mixed load, {some} clients"), &commands);
    lines.extend(read_lines(&format!("mixed load, {others} others"), &reads));
    // The targets are for one kind of load at a time; here they share the cores.
    Ok(lines.into_iter().map(Line::without_target).collect())
}

/// Commands, then reads from a fresh database, with real servers.
pub(super) async fn on_servers(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let who = format!("on MongoDB and Kafka, {} clients", plan.clients);
    let mut lines = Vec::new();
    for reads in [false, true] {
        let backbones = Backbones::run().await?;
        let process = Process::start_with(&work::of_one_client(backbones.options())).await?;
        let team = Team::new(&process, plan.clients).await?;
        let scripts = if reads {
            work::readers(&team, 0..plan.clients).await?
        } else {
            work::workers(&team, 0..plan.clients, plan.time).await?
        };
        let outcome = load::run(address(&process)?, scripts, plan.time).await?;
        let to_lines = if reads { read_lines } else { command_lines };
        lines.extend(to_lines(&who, &outcome));
    }
    // The targets are for the embedded mode.
    Ok(lines.into_iter().map(Line::without_target).collect())
}

/// How many commands share a commit: with one client, with some, with all.
pub(super) async fn commits(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for clients in [1, 8, plan.clients] {
        let (process, team) = work::staffed(clients).await?;
        let scripts = work::workers(&team, 0..clients, plan.time).await?;
        let before = Commits::of(&process).await?;
        let outcome = load::run(address(&process)?, scripts, plan.time).await?;
        let after = Commits::of(&process).await?;
        let (rate, p99) = (outcome.rate(), outcome.millis(0.99));
        let (writes, millis) = (after.writes_each(&before), after.millis_each(&before));
        let measured = format!(
            "{rate:.0} commands a second, p99 {p99:.1} ms; \
             {writes:.1} writes a commit of {millis:.1} ms"
        );
        let line = Line::new(format!("group commit, clients: {clients}"), measured);
        lines.push(line.figures(&[
            ("clients", clients as f64),
            ("commandsPerSecond", rate),
            ("p99Ms", p99),
            ("writesPerCommit", writes),
            ("commitMs", millis),
        ]));
    }
    Ok(lines)
}

fn command_lines(who: &str, outcome: &Outcome) -> Vec<Line> {
    let (rate, p50, p99) = summary(outcome);
    vec![
        Line::new(
            format!("durable commands a second, {who}"),
            format!("{rate:.0}"),
        )
        .target("2,000", rate >= COMMANDS_A_SECOND)
        .figures(&[("perSecond", rate)]),
        Line::new(
            format!("a command's time, {who}"),
            format!("p50 {p50:.1} ms, p99 {p99:.1} ms"),
        )
        .target("p99 50 ms", p99 <= COMMAND_P99_MS)
        .figures(&[("p50Ms", p50), ("p99Ms", p99)]),
    ]
}

fn read_lines(who: &str, outcome: &Outcome) -> Vec<Line> {
    let (rate, p50, p99) = summary(outcome);
    vec![
        Line::new(format!("reads a second, {who}"), format!("{rate:.0}"))
            .target("10,000", rate >= READS_A_SECOND)
            .figures(&[("perSecond", rate)]),
        Line::new(
            format!("a read's time, {who}"),
            format!("p50 {p50:.1} ms, p99 {p99:.1} ms"),
        )
        .target("p99 10 ms", p99 <= READ_P99_MS)
        .figures(&[("p50Ms", p50), ("p99Ms", p99)]),
    ]
}

fn summary(outcome: &Outcome) -> (f64, f64, f64) {
    (outcome.rate(), outcome.millis(0.5), outcome.millis(0.99))
}
