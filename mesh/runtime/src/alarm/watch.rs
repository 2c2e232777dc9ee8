//! Raises what health checks and panics say.

use std::{collections::BTreeMap, panic, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Kind, is_delivering, raise, resolve};
use crate::life::{Background, Health, Problem};

/// What a service calls its consumer groups among its dependencies. They raise an alarm
/// themselves, when they have tried for a while.
pub const CONSUMER: &str = "consumer";

/// How often dependencies are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What has been away so many times in a row is away.
const TIMES: u32 = 2;

/// What a service calls the bus among its dependencies.
const BUS: &str = "bus";

/// Raises what cannot be reached or written, and resolves it when it can, until told to stop.
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
        // What several services need is looked at once for each, and told once.
        let mut away: BTreeMap<&'static str, Option<(&'static str, Problem)>> = BTreeMap::new();
        let findings = health.findings().await.into_iter();
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

/// What is raised of a dependency: when it cannot be reached, and when it cannot be written.
fn kinds(dependency: &str) -> [Kind; 2] {
    match dependency {
        BUS => [Kind::BusUnreachable, Kind::BusUnwritable],
        _ => [Kind::Unreachable, Kind::Unwritable],
    }
}

/// Raises every panic from now on, beside what is done about it anyway. Where it happened
/// is told; its text stays in the log, because it may hold anything.
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
