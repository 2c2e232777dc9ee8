//! Raises alerts for failed health checks and for panics.

use std::{collections::BTreeMap, panic, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Kind, is_delivering, raise, resolve};
use crate::{
    life::{Background, Health, Problem},
    telemetry::metrics::own,
};

/// The dependency name that services use for their consumer groups. These raise their own alert,
/// after a minute of failures.
pub const CONSUMER: &str = "consumer";

/// How often dependencies are checked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A dependency counts as unavailable after this many failed checks in a row.
const TIMES: u32 = 2;

/// The dependency name that services use for the bus.
const BUS: &str = "bus";

/// Raises an alert for each dependency that is unreachable or not writable, and resolves it when
/// the dependency is available again. Also records the state of each in the metrics. Runs until
/// shutdown.
pub fn dependencies(health: Health, background: &Background) {
    background.spawn("alarm-health", move |stop| {
        let health = health.clone();
        async move { look(&health, &stop).await }
    });
}

async fn look(health: &Health, stop: &CancellationToken) {
    let mut failures: BTreeMap<&'static str, u32> = BTreeMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        // A dependency of several services is checked for each of them, but reported once.
        let mut away: BTreeMap<&'static str, Option<(&'static str, Problem)>> = BTreeMap::new();
        let findings = health.findings().await;
        findings.iter().for_each(own::dependency);
        let findings = findings.into_iter();
        for finding in findings.filter(|finding| finding.dependency != CONSUMER) {
            let known = away.entry(finding.dependency).or_default();
            if known.is_none() {
                *known = finding.problem.map(|problem| (finding.service, problem));
            }
        }
        for (dependency, problem) in away {
            let Some((service, problem)) = problem else {
                let failed = failures.remove(dependency);
                if failed.is_some_and(|times| times >= TIMES) {
                    tracing::info!(dependency, "dependency recovered");
                }
                for kind in kinds(dependency) {
                    resolve(kind, dependency);
                }
                continue;
            };
            let times = failures.entry(dependency).or_default();
            *times += 1;
            if *times < TIMES {
                continue;
            }
            if *times == TIMES {
                tracing::warn!(dependency, service, %problem, "dependency unhealthy");
            }
            let [unreachable, unwritable] = kinds(dependency);
            match problem {
                Problem::Away(_) => {
                    let text = format!("{service} cannot reach what it needs: {dependency}");
                    raise(unreachable, dependency, &text);
                }
                Problem::Unwritable(problem) => {
                    let text = format!("{service} cannot use its {dependency}: {problem}");
                    raise(unwritable, dependency, &text);
                }
            }
        }
    }
}

/// The kinds of alerts for a dependency: when it is unreachable, and when it is not writable.
fn kinds(dependency: &str) -> [Kind; 2] {
    match dependency {
        BUS => [Kind::BusUnreachable, Kind::BusUnwritable],
        _ => [Kind::Unreachable, Kind::Unwritable],
    }
}

/// From now on raises an alert for every panic, in addition to the present panic hook. The alert
/// has only the place of the panic; its text may contain anything and goes only to the log.
pub fn panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        before(info);
        if is_delivering() {
            return;
        }
        let place = info.location().map_or_else(
            || "an unknown place".to_owned(),
            |place| {
                let file = place
                    .file()
                    .rsplit_once("/src/")
                    .map_or(place.file(), |(_, f)| f);
                format!("{file}:{}", place.line())
            },
        );
        raise(
            Kind::Panic,
            &place,
            &format!("a panic at {place}; the log has its text"),
        );
    }));
}
