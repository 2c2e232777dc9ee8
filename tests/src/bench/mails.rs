//! Notifications: from the command that causes them to the mail server, which runs in this process.
//! A developer's tasks of one release are one mail, which counts once for each task in it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use notify_svc::testing::{SmtpServer, Taken};
use slipway_tests::{Client, Options, Process, TIMEOUT, Team, until};
use tokio::time::MissedTickBehavior;

use super::{
    Plan,
    load::{histogram, millis, note},
    probe::Memory,
    report::Line,
};

const DEVELOPERS: usize = 50;

/// Tasks of a release; each is a notification.
const TASKS: usize = 100;

/// Number of notifications in one mail.
const TASKS_A_MAIL: usize = TASKS / DEVELOPERS;

/// Time between two releases: a thousand notifications a second.
const PACE: Duration = Duration::from_millis(100);

/// Number of releases in a burst, for the maximum rate.
const BURST: usize = 100;

const RATE: f64 = 1_000.0;
const P99_MS: f64 = 5_000.0;

/// The row `mails`: at a steady thousand a second, and at the maximum rate.
pub(super) async fn mails(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let steady = (plan.time.as_secs_f64() / PACE.as_secs_f64()).ceil() as usize;
    let steady = run(steady, PACE).await?;
    let burst = run(BURST, Duration::from_millis(1)).await?;
    let times = [0.5, 0.99].map(|quantile| millis(&steady.delays, quantile));
    let figures = [
        ("ratePerSecond", steady.rate),
        ("p50Ms", times[0]),
        ("p99Ms", times[1]),
    ];
    Ok(vec![
        Line::new(
            format!(
                "command → mail server, {:.0} notifications a second",
                steady.rate
            ),
            format!("p50 {:.0} ms, p99 {:.0} ms", times[0], times[1]),
        )
        .target(
            "p99 5 s at 1,000",
            times[1] <= P99_MS && steady.rate >= RATE * 0.95,
        )
        .figures(&figures),
        Line::new(
            format!(
                "{} notifications at once, all sent and logged",
                BURST * TASKS
            ),
            format!(
                "{:.0} a second; {:.0} MB at most",
                burst.rate, burst.peak_mb
            ),
        )
        .target("1,000 a second", burst.rate >= RATE)
        .figures(&[("ratePerSecond", burst.rate), ("peakMb", burst.peak_mb)]),
    ])
}

struct Run {
    /// From before the command to the mail server.
    delays: Histogram<u64>,
    /// From the first command to the last outcome in the log.
    rate: f64,
    peak_mb: f64,
}

/// Creates releases at a pace and waits until every notification was accepted by the mail server
/// and logged.
async fn run(releases: usize, pace: Duration) -> anyhow::Result<Run> {
    let server = SmtpServer::start().await;
    let options = Options::default()
        .env("SLIPWAY_SMTP_URL", server.url())
        .env("SLIPWAY_MAIL_RATE", "100000")
        .env("SLIPWAY_MAIL_CONNECTIONS", "100");
    let process = Process::start_with(&options).await?;
    let team = Team::new(&process, DEVELOPERS).await?;
    let owners: Vec<_> = (0..TASKS).map(|task| task % DEVELOPERS).collect();
    let mut ticks = tokio::time::interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = Vec::with_capacity(releases);
    for n in 0..releases {
        ticks.tick().await;
        sent.push(Instant::now());
        team.release(&format!("number {n}"), &owners).await?;
    }
    let count = releases * TASKS;
    server.wait_for(releases * DEVELOPERS, TIMEOUT).await;
    logged(&process, count).await?;
    let took = sent.first().context("there are releases")?.elapsed();
    let mut delays = histogram();
    for mail in server.taken() {
        let (notifications, release) = about(&mail)?;
        let begun = sent.get(release).context("a release of this run")?;
        for _ in 0..notifications {
            note(&mut delays, mail.at.duration_since(*begun));
        }
    }
    let counted = usize::try_from(delays.len())?;
    ensure!(
        counted == count,
        "the mails have {counted} of {count} notifications"
    );
    Ok(Run {
        delays,
        rate: count as f64 / took.as_secs_f64(),
        peak_mb: Memory::of(&process)?.most,
    })
}

/// How many notifications a mail has, and the number of their release.
fn about(mail: &Taken) -> anyhow::Result<(usize, usize)> {
    let subject = mail.header("Subject").context("a subject")?;
    let prefix = format!("{TASKS_A_MAIL} tasks for you (number ");
    let number = subject.strip_prefix(&prefix).context("a release")?;
    Ok((TASKS_A_MAIL, number.trim_end_matches(')').parse()?))
}

/// Waits until this many notifications are logged as sent.
async fn logged(process: &Process, count: usize) -> anyhow::Result<()> {
    let ops = Client::new(&process.ops);
    until(async || {
        let answer = ops.get("/metrics").await?;
        let text = answer.body.as_str().context("metrics are text")?;
        let sent = "slipway_notifications_sent_total{channel=\"EMAIL\",type=\"task.assigned\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(sent));
        let logged = line.is_some_and(|sent| sent.parse() == Ok(count));
        ensure!(logged, "{line:?} of {count} are logged");
        Ok(())
    })
    .await
}
