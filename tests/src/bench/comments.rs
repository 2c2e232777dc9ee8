//! Discussions: comments posted a second, and pages of large discussions read a second.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use serde_json::json;
use slipway_tests::{
    Client, Process, Team,
    team::{id, task_ids},
};

use super::{
    Plan, address,
    load::{self, Script, histogram, millis, note},
    report::Line,
    wire::Connection,
    work,
};

/// Threads of the large discussion, and comments in each: 100,000 together.
const THREADS: usize = 1_000;
const OF_A_THREAD: usize = 100;

/// Replies in one chain, and replies to one comment.
const DEEP: usize = 10_000;

/// Number of posts that are timed at the beginning and at the end.
const TIMED: usize = 500;

/// Number of times a page is read.
const READS: usize = 100;

/// The text of a comment.
const CONTENT: &str = "What about the *changelog*? It should name what was deprecated.";

/// All clients start threads on one task.
pub(super) async fn posts(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let (process, team) = work::staffed(plan.clients).await?;
    let path = board(&team).await?;
    let body = json!({"content": CONTENT});
    let scripts = team
        .developers
        .iter()
        .map(|developer| Script::post(&path, &body, developer.token()));
    let outcome = load::run(address(&process)?, scripts.collect(), plan.time).await?;
    let (rate, p50, p99) = (outcome.rate(), outcome.millis(0.5), outcome.millis(0.99));
    let who = format!("{} clients", plan.clients);
    Ok(vec![
        Line::new(
            format!("comments posted a second on one task, {who}"),
            format!("{rate:.0}; p50 {p50:.1} ms, p99 {p99:.1} ms"),
        )
        .target("2,000", rate >= 2_000.0)
        .figures(&[("perSecond", rate), ("p50Ms", p50), ("p99Ms", p99)]),
    ])
}

/// Reads first pages of a discussion with 100,000 comments.
pub(super) async fn pages(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let (process, team) = work::staffed(plan.clients).await?;
    let path = board(&team).await?;
    fill(&process, &team, &path).await?;
    let mut lines = Vec::new();
    for (what, query) in [("flat", ""), ("tree", "?view=tree")] {
        let page = format!("{path}{query}");
        let scripts = team
            .developers
            .iter()
            .map(|developer| Script::get(&page, developer.token()));
        let outcome = load::run(address(&process)?, scripts.collect(), plan.time).await?;
        let (rate, p50, p99) = (outcome.rate(), outcome.millis(0.5), outcome.millis(0.99));
        let who = format!("{} clients", plan.clients);
        let line = Line::new(
            format!("first pages a second of 100,000 comments, {what}, {who}"),
            format!("{rate:.0}; p50 {p50:.1} ms, p99 {p99:.1} ms"),
        );
        lines.push(line.figures(&[("perSecond", rate), ("p50Ms", p50), ("p99Ms", p99)]));
    }
    Ok(lines)
}

/// One client posts a chain of 10,000 replies, and 10,000 direct replies to one comment.
pub(super) async fn threads() -> anyhow::Result<Vec<Line>> {
    grown("", &Process::start().await?).await
}

/// The same on real servers.
pub(super) async fn threads_on_mongodb() -> anyhow::Result<Vec<Line>> {
    let backbones = slipway_tests::Backbones::run().await?;
    let process = Process::start_with(&backbones.options()).await?;
    grown("on MongoDB: ", &process).await
}

async fn grown(on: &str, process: &Process) -> anyhow::Result<Vec<Line>> {
    let team = Team::new(process, 1).await?;
    let developer = &team.developers[0];
    let mut lines = Vec::new();
    for (what, chain) in [("one chain", true), ("one comment", false)] {
        let path = board(&team).await?;
        let (begin, end) = grow(developer, &path, chain).await?;
        let first = read(developer, &path).await?;
        let tree = read(developer, &format!("{path}?view=tree")).await?;
        let name = |text: &str| format!("{on}10,000 replies in {what}: {text}");
        lines.push(
            Line::new(
                name("posting the first 500, the last 500"),
                format!("p50 {begin:.2} ms, {end:.2} ms"),
            )
            .target("within 2×", end <= 2.0 * begin)
            .figures(&[("firstMs", begin), ("lastMs", end)]),
        );
        let (flat, nested) = (millis(&first, 0.5), millis(&tree, 0.5));
        lines.push(
            Line::new(
                name("first page, flat and as a tree"),
                format!("p50 {flat:.1} ms, {nested:.1} ms"),
            )
            .target("20 ms", flat.max(nested) <= 20.0)
            .figures(&[("flatMs", flat), ("treeMs", nested)]),
        );
    }
    Ok(lines)
}

/// The path of the discussion of a new task.
async fn board(team: &Team) -> anyhow::Result<String> {
    let release = team.release("discussed", &[0]).await?;
    let task = task_ids(&release).pop().context("a task")?;
    Ok(format!("/tasks/{task}/comments"))
}

/// Starts the threads, then fills them; each developer fills some.
async fn fill(process: &Process, team: &Team, path: &str) -> anyhow::Result<()> {
    let body = json!({"content": CONTENT});
    let mut roots = Vec::with_capacity(THREADS);
    for _ in 0..THREADS {
        let root = team.developers[0].post(path, &body).await?.expect(201);
        roots.push(id(&root).to_owned());
    }
    let address = address(process)?;
    let share = THREADS.div_ceil(team.developers.len());
    let work = roots.chunks(share).zip(&team.developers);
    try_join_all(work.map(|(roots, developer)| {
        let body = body.clone();
        async move {
            let mut connection = Connection::open(address).await?;
            for root in roots {
                let path = format!("/comments/{root}/reply");
                let request = super::wire::post(&path, &body, developer.token());
                for _ in 1..OF_A_THREAD {
                    let status = connection.call(&request).await?;
                    ensure!(status == 201, "a reply was answered with {status}");
                }
            }
            anyhow::Ok(())
        }
    }))
    .await?;
    Ok(())
}

/// Posts the replies, each to the previous one or all to the first. Returns the median times in
/// milliseconds at the beginning and at the end.
async fn grow(developer: &Client, path: &str, chain: bool) -> anyhow::Result<(f64, f64)> {
    let body = json!({"content": CONTENT});
    let root = developer.post(path, &body).await?.expect(201);
    let mut parent = id(&root).to_owned();
    let (mut begin, mut end) = (histogram(), histogram());
    for n in 0..DEEP {
        let path = format!("/comments/{parent}/reply");
        let sent = Instant::now();
        let reply = developer.post(&path, &body).await?.expect(201);
        let time = sent.elapsed();
        if n < TIMED {
            note(&mut begin, time);
        } else if n >= DEEP - TIMED {
            note(&mut end, time);
        }
        if chain {
            parent = id(&reply).to_owned();
        }
    }
    Ok((millis(&begin, 0.5), millis(&end, 0.5)))
}

async fn read(developer: &Client, path: &str) -> anyhow::Result<Histogram<u64>> {
    let mut times = histogram();
    for _ in 0..READS {
        let sent = Instant::now();
        let _ = developer.get(path).await?.expect(200);
        note(&mut times, sent.elapsed().max(Duration::from_micros(1)));
    }
    Ok(times)
}
