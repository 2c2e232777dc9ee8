//! Measures how late reminders are that are all due in the same instant, with two replicas of each
//! role, a real Kafka and a MongoDB-compatible server, while a replica of release-svc is killed.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde_json::json;
use slipway_tests::{
    Backbones, Mesh, Role, Team,
    topics::{ACTIVITY, Topics},
    until,
};

use super::{
    load::{histogram, millis, note},
    report::Line,
};

/// Releases, and tasks of each: the most that a release may have.
const RELEASES: usize = 20;
const TASKS: usize = 500;

/// Developers, each of whom owns the same number of tasks.
const DEVELOPERS: usize = 20;

/// Time for planning all of it.
const PLANNING: Duration = Duration::from_secs(120);

/// Time before a task is due at which its owner is reminded: the shortest.
const BEFORE_MINUTES: u32 = 1;

/// Reminders that arrive before the replica is killed.
const BEFORE_KILL: usize = 1_000;

const TARGET_MS: f64 = 5_000.0;

/// Time limit for the next event to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

const REMINDER: &str = "task.reminder_due";

/// The row `reminders`: 10,000 reminders due in one instant.
pub(super) async fn reminders() -> anyhow::Result<Vec<Line>> {
    let mut mesh = Mesh::on(Backbones::run().await?).await?;
    let team = Team::at(&mesh.client(), DEVELOPERS).await?;
    let remind_at = Timestamp::try_from(SystemTime::now() + PLANNING)?;
    let due = remind_at + jiff::SignedDuration::from_mins(BEFORE_MINUTES.into());
    for release in 0..RELEASES {
        let tasks = (0..TASKS).map(|n| {
            json!({
                "title": format!("task {n}"),
                "assignee": format!("dev-{}", n % DEVELOPERS),
                "dueAt": due.to_string(),
                "remindBeforeMinutes": BEFORE_MINUTES,
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let plan = json!({"name": format!("release {release}"), "tasks": tasks});
        let _ = team.admin.post("/releases", &plan).await?.expect(201);
    }
    let brokers = Topics::of(&mesh.backbones()?.kafka);
    brokers.consumed_by(ACTIVITY).await?;
    let mut topics = brokers.follow().await?;
    let spare = SystemTime::from(remind_at).duration_since(SystemTime::now());
    ensure!(
        spare.is_ok(),
        "planning took longer than {} s",
        PLANNING.as_secs()
    );

    tokio::time::sleep(spare?).await;
    let (mut times, mut seen) = (histogram(), HashSet::new());
    let all = RELEASES * TASKS;
    while seen.len() < all {
        let next = tokio::time::timeout(TIMEOUT, topics.recv()).await;
        let next = next.with_context(|| format!("{} of {all} arrived", seen.len()))?;
        let (event, on_topic) = next.context("the topics ended")?;
        // An event may be published again.
        if event.kind != REMINDER || !seen.insert(event.subject) {
            continue;
        }
        let late = on_topic.duration_since(remind_at.into());
        note(&mut times, late.unwrap_or_default());
        if seen.len() == BEFORE_KILL {
            mesh.kill(Role::Release, 0).await?;
        }
    }
    let admin = mesh.anywhere(&team.admin);
    let mut shown = 0;
    let complete = until(async || {
        let feed = admin.feed().await?;
        shown = feed
            .iter()
            .filter(|entry| entry["type"] == REMINDER)
            .count();
        ensure!(shown >= all, "{shown} of {all} are in the activity feed");
        Ok(())
    });
    complete.await?;

    let [p50, p99] = [0.5, 0.99].map(|quantile| millis(&times, quantile));
    let last = millis(&times, 1.0);
    let measured = format!("p50 {p50:.0} ms, p99 {p99:.0} ms, last {last:.0} ms");
    let what = "reminder due → on the topic, 10,000 in one instant, a replica killed";
    let once = format!("{shown} of {all}");
    Ok(vec![
        Line::new("reminders in the activity feed", once).target("each once", shown == all),
        Line::new(what, measured)
            .target("all within 5 s", last <= TARGET_MS)
            .figures(&[("p50Ms", p50), ("p99Ms", p99), ("lastMs", last)]),
    ])
}
