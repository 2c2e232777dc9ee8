//! Background jobs of this service: does what is due on releases, deletes expired data, and
//! measures what only the database knows.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::SignedDuration;
use metrics::Label;
use slipway_runtime::{clock::SharedClock, life::Background, telemetry::metrics::passing};
use slipway_store::{due::Timer, receipts::RECEIPT_TTL};

use crate::{
    commands::Commands,
    identity::{quota::Hour, throttle::WINDOW},
    metrics as m,
    store::{ReleaseFilter, ReleaseStore, ReleaseSummary, StoreError, Stores},
};

const EVERY: Duration = Duration::from_secs(15 * 60);

/// How long an ended or expired session is kept at least: so long its client learns what happened.
const KEPT_SESSIONS: SignedDuration = SignedDuration::from_hours(24);

/// Interval between measurements. With the interval of scrapes, dashboards are at most 30 seconds
/// behind.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Open releases whose progress is measured: a bound on the series that one scrape has.
const MEASURED_RELEASES: u32 = 20;

/// Does on each release what is due, such as reporting a stale task.
pub(crate) fn pass_time(commands: Arc<Commands>, background: &Background) {
    let timer = Timer {
        name: "releases",
        documents: commands.releases().documents().clone(),
        wake: commands.due.clone(),
        clock: SharedClock::clone(&commands.clock),
    };
    timer.spawn(background, move |release| {
        let commands = Arc::clone(&commands);
        async move { commands.pass_time(release).await }
    });
}

/// Deletes expired receipts, sign-ins that nobody finished, failed sign-ins, registration counts, sessions and the remains of
/// deleted releases every 15 minutes.
pub(crate) fn purge(stores: Stores, clock: SharedClock, background: &Background) {
    background.repeat("delete-expired", EVERY, move || {
        let (stores, clock) = (stores.clone(), SharedClock::clone(&clock));
        async move { purge_once(&stores, &clock).await }
    });
}

async fn purge_once(stores: &Stores, clock: &SharedClock) -> Result<(), StoreError> {
    let now = clock.now();
    stores.sessions.purge(now - KEPT_SESSIONS, now).await?;
    stores.receipts.purge_receipts(now - RECEIPT_TTL).await?;
    stores.releases.purge_deleted(now - RECEIPT_TTL).await?;
    stores.flows.purge(now).await?;
    let users = &stores.users;
    users.purge_failures(now - WINDOW).await?;
    users.purge_registrations(Hour::of(now)).await
}

/// Measures the active developers and the progress of the newest open releases.
pub(crate) fn measure(releases: ReleaseStore, background: &Background) {
    background.repeat("measure-releases", MEASURE_EVERY, move || {
        let releases = releases.clone();
        async move { measure_once(&releases).await }
    });
}

async fn measure_once(releases: &ReleaseStore) -> Result<(), StoreError> {
    let active = releases.active_developers().await?;
    metrics::gauge!(m::ACTIVE_DEVELOPERS).set(active as f64);
    let open = releases.list(Some(ReleaseFilter::Open), None, MEASURED_RELEASES);
    passing::replace(&m::release_tasks(), progress(&open.await?.items));
    Ok(())
}

/// The series of the progress of releases. Releases with the same name and version share them.
fn progress(releases: &[ReleaseSummary]) -> Vec<(Vec<Label>, f64)> {
    let mut tasks: BTreeMap<_, u32> = BTreeMap::new();
    for ReleaseSummary {
        release,
        total,
        completed,
    } in releases
    {
        let (name, version) = (release.name.as_str(), release.version.as_str());
        for (state, count) in [("completed", *completed), ("open", total - completed)] {
            *tasks.entry((name, version, state)).or_default() += count;
        }
    }
    let series = tasks.into_iter().map(|((name, version, state), count)| {
        let labels = [("release", name), ("version", version), ("state", state)];
        let labels = labels.map(|(label, value)| Label::new(label, value.to_owned()));
        (labels.into(), f64::from(count))
    });
    series.collect()
}
