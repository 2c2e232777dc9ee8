//! How long it takes to verify an audit trail.

use std::{fs, time::Instant};

use anyhow::ensure;
use notify_svc::{Stores, audit::Entry};
use slipway_tests::{Options, process};

use super::report::Line;

/// Entries of the trail, in releases of this many.
const ENTRIES: usize = 100_000;
const OF_A_RELEASE: usize = 50;

/// Entries that are appended at a time.
const AT_ONCE: usize = 500;

/// Number of verifications, of which the median is reported.
const RUNS: usize = 5;

const TARGET_SECONDS: f64 = 2.0;

/// The row `audit`: verifies 100,000 entries with the command, in a SQLite file.
pub(super) async fn audit() -> anyhow::Result<Vec<Line>> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    fs::create_dir(&data)?;
    let stores = Stores::sqlite(&data.join("notify.db"))?;
    let begin = Instant::now();
    for first in (0..ENTRIES).step_by(AT_ONCE) {
        let entries = (first..first + AT_ONCE).map(entry).collect();
        stores.audit.append(entries).await?;
    }
    let rate = ENTRIES as f64 / begin.elapsed().as_secs_f64();
    let verify = Options::default().arg("audit").arg("verify");
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        let (status, output, errors) = process::run(dir.path(), &verify).await?;
        times.push(begin.elapsed().as_secs_f64());
        ensure!(status.success(), "{errors}");
        ensure!(
            output.starts_with(&format!("{ENTRIES} entries")),
            "{output}"
        );
    }
    times.sort_by(f64::total_cmp);
    let (median, slowest) = (times[RUNS / 2], times[RUNS - 1]);
    Ok(vec![
        Line::new(
            "audit trail: entries appended a second, 500 at a time",
            format!("{rate:.0}"),
        )
        .figures(&[("perSecond", rate)]),
        Line::new(
            "audit trail: verification of 100,000 entries",
            format!("{median:.2} s (slowest of {RUNS}: {slowest:.2} s)"),
        )
        .target("2 s", median <= TARGET_SECONDS)
        .figures(&[("medianSeconds", median), ("slowestSeconds", slowest)]),
    ])
}

/// An entry of the size of a started task's.
fn entry(n: usize) -> Entry {
    let id = |what: u32, n: usize| format!("{what:08x}-7a5e-7c3f-8f00-{n:012x}");
    let (release, task) = (id(1, n / OF_A_RELEASE), id(2, n / 2));
    let second = n % 60;
    let (time, at) = (
        format!("2026-03-01T10:00:{second:02}.123Z"),
        format!("2026-03-01T10:00:{second:02}.456789Z"),
    );
    let user = r#"{"id":"0190c2b8-7a5e-7c3f-8f00-000000000001","username":"dev-0"}"#;
    let data = format!(
        r#"{{"task":{{"id":"{task}","releaseId":"{release}","releaseName":"Kubernetes 1.31","title":"Build images {n}","description":"Build and sign the images of all platforms, then push them.","assignee":{user},"orderIndex":{n},"status":"IN_PROCESS","hotfix":false,"createdAt":"{time}","startedAt":"{time}","priority":"NORMAL"}}}}"#
    );
    Entry {
        number: 0,
        event_id: id(3, n),
        event_type: "task.started".to_owned(),
        schema: "task.started/1".to_owned(),
        time,
        recorded_at: at,
        actor_id: "0190c2b8-7a5e-7c3f-8f00-000000000001".to_owned(),
        actor_name: "dev-0".to_owned(),
        request_id: id(4, n),
        trace_id: format!("{n:032x}"),
        address: "192.0.2.1".to_owned(),
        subject: task.clone(),
        release_id: release,
        release_position: 0,
        task_id: task,
        user_id: String::new(),
        data,
        previous_hash: String::new(),
        hash: String::new(),
    }
}
