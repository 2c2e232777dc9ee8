//! The health of a process: whether it can serve, and which dependencies fail.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use crate::clock::{Clock as _, SystemClock};

/// A dependency that does not answer a health check within this time counts as unavailable.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// A dependency of a service.
#[async_trait]
pub trait Check: Send + Sync + 'static {
    /// Checks that the dependency is available.
    ///
    /// # Errors
    /// What is wrong with it, if it is not.
    async fn check(&self) -> Result<(), Problem>;
}

/// What is wrong with a dependency: a text for operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(into = "String")]
pub enum Problem {
    /// It does not answer.
    #[error("{0}")]
    Away(String),
    /// It answers but refuses writes, or cannot be trusted any more: its disk is full or has
    /// failed, its file is read-only or damaged, or it does not trust this process.
    #[error("{0}")]
    Unwritable(String),
}

impl From<String> for Problem {
    /// A problem that is only a text means that the dependency is unavailable.
    fn from(text: String) -> Self {
        Self::Away(text)
    }
}

impl From<Problem> for String {
    fn from(problem: Problem) -> Self {
        problem.to_string()
    }
}

/// The dependencies of each service, and whether the process accepts requests.
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    checks: Mutex<Vec<Named>>,
    phase: Mutex<Phase>,
    /// Dependencies that are checked only to be shown.
    shown: Mutex<Vec<Named>>,
    /// The last result of each check.
    known: Mutex<BTreeMap<(&'static str, &'static str), Known>>,
}

/// The last result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What it found.
    pub finding: Finding,
    /// Since when the dependency is available, or is not, as far as this process knows.
    pub since: Timestamp,
}

#[derive(Clone)]
struct Named {
    service: &'static str,
    dependency: &'static str,
    need: Need,
    check: Arc<dyn Check>,
}

/// How a service depends on something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// The service cannot work without it.
    Required,
    /// Without it the service still works, but something is late or missing: commands are accepted
    /// and their events wait. Taking the service out of rotation would make it worse.
    Degraded,
}

/// The phase of a process's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Not serving yet.
    #[default]
    Starting,
    /// Accepts requests.
    Serving,
    /// Answers requests in flight, accepts no new ones.
    Draining,
}

/// The state of one dependency of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the service that depends on it.
    pub service: &'static str,
    /// Name of the dependency.
    pub dependency: &'static str,
    /// How the service depends on it.
    #[serde(rename = "without")]
    pub need: Need,
    /// Why it is unavailable; `null` if it is available.
    pub problem: Option<Problem>,
}

impl Finding {
    /// Whether the service cannot work because of it.
    #[must_use]
    pub fn prevents(&self) -> bool {
        self.need == Need::Required && self.problem.is_some()
    }

    /// Whether it is available.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.problem.is_none()
    }

    /// Whether the service works, but is degraded because of it.
    #[must_use]
    pub fn degrades(&self) -> bool {
        self.need == Need::Degraded && self.problem.is_some()
    }
}

impl Health {
    /// Registers a dependency of `service`. If this is the full protobuf name, the gRPC health of
    /// the service depends on it too.
    pub fn depends(
        &self,
        service: &'static str,
        dependency: &'static str,
        need: Need,
        check: Arc<dyn Check>,
    ) {
        self.0.checks.lock().push(Named {
            service,
            dependency,
            need,
            check,
        });
    }

    /// Registers a dependency that has alerts of its own: it is not among the
    /// [findings](Self::findings) that raise one.
    pub fn shows(&self, service: &'static str, dependency: &'static str, check: Arc<dyn Check>) {
        self.0.shown.lock().push(Named {
            service,
            dependency,
            need: Need::Degraded,
            check,
        });
    }

    /// Changes the phase.
    pub fn enter(&self, phase: Phase) {
        *self.0.phase.lock() = phase;
    }

    /// The current phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.phase.lock()
    }

    /// Checks all dependencies concurrently, except those that have alerts of their own.
    pub async fn findings(&self) -> Vec<Finding> {
        let checks = self.0.checks.lock().clone();
        self.look(checks).await
    }

    /// Checks all dependencies concurrently.
    pub async fn all_findings(&self) -> Vec<Finding> {
        let mut checks = self.0.checks.lock().clone();
        checks.extend_from_slice(&self.0.shown.lock());
        self.look(checks).await
    }

    async fn look(&self, checks: Vec<Named>) -> Vec<Finding> {
        let findings = results(checks).await;
        self.note(&findings, SystemClock.now());
        findings
    }

    /// The last result of each check, which is at most seconds old while the process serves.
    pub async fn known(&self) -> Vec<Known> {
        let shown = self.0.shown.lock().clone();
        self.look(shown).await;
        self.0.known.lock().values().cloned().collect()
    }

    fn note(&self, findings: &[Finding], now: Timestamp) {
        let mut known = self.0.known.lock();
        for finding in findings {
            let place = (finding.service, finding.dependency);
            let before = known.get(&place);
            let same = before.filter(|known| known.finding.is_up() == finding.is_up());
            let since = same.map_or(now, |known| known.since);
            let finding = finding.clone();
            known.insert(place, Known { finding, since });
        }
    }
}

/// Runs these checks concurrently. What several services depend on is checked once: each check asks
/// a server.
async fn results(checks: Vec<Named>) -> Vec<Finding> {
    let address = |check: &Arc<dyn Check>| Arc::as_ptr(check).addr();
    let distinct: BTreeMap<_, _> = checks
        .iter()
        .map(|named| (address(&named.check), &named.check))
        .collect();
    let problems = distinct.into_iter().map(|(address, check)| async move {
        let problem = match tokio::time::timeout(CHECK_TIMEOUT, check.check()).await {
            Ok(result) => result.err(),
            Err(_) => Some(Problem::Away(format!("no answer within {CHECK_TIMEOUT:?}"))),
        };
        (address, problem)
    });
    let problems: BTreeMap<_, _> = join_all(problems).await.into_iter().collect();
    let findings = checks.iter().map(|named| Finding {
        service: named.service,
        dependency: named.dependency,
        need: named.need,
        problem: problems[&address(&named.check)].clone(),
    });
    findings.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    struct Full;

    #[async_trait]
    impl Check for Full {
        async fn check(&self) -> Result<(), Problem> {
            Err(Problem::Unwritable("it is full".into()))
        }
    }

    struct Silent;

    #[async_trait]
    impl Check for Silent {
        async fn check(&self) -> Result<(), Problem> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn findings_name_the_full_and_the_silent_dependency() {
        let health = Health::default();
        health.depends("a.Service", "store", Need::Required, Arc::new(Full));
        health.depends("b.Service", "bus", Need::Degraded, Arc::new(Silent));
        let findings = health.findings().await;
        let written = serde_json::to_value(&findings).unwrap();
        assert_eq!(written[0]["problem"], "it is full");
        assert_eq!(written[1]["problem"], "no answer within 2s");
        assert!(findings[0].prevents() && !findings[0].degrades());
        assert!(findings[1].degrades() && !findings[1].prevents());
    }

    /// Counts how often it is checked.
    #[derive(Default)]
    struct Counted(AtomicU32);

    #[async_trait]
    impl Check for Counted {
        async fn check(&self) -> Result<(), Problem> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(Problem::Away("it is away".into()))
        }
    }

    #[tokio::test]
    async fn what_several_services_share_is_checked_once() {
        let (health, bus) = (Health::default(), Arc::new(Counted::default()));
        for service in ["a.Service", "b.Service"] {
            health.depends(service, "bus", Need::Degraded, bus.clone());
        }
        health.depends("a.Service", "store", Need::Required, Arc::new(Full));
        let findings = health.findings().await;
        let problems: Vec<_> = findings
            .iter()
            .map(|finding| finding.problem.clone().map(String::from))
            .collect();
        let problems: Vec<_> = problems.iter().flatten().collect();
        assert_eq!(problems, ["it is away", "it is away", "it is full"]);
        assert_eq!(bus.0.load(Ordering::Relaxed), 1);
    }

    /// Is there while the flag is set.
    struct Flag(Arc<AtomicBool>);

    #[async_trait]
    impl Check for Flag {
        async fn check(&self) -> Result<(), Problem> {
            let is_there = self.0.load(Ordering::Relaxed);
            is_there
                .then_some(())
                .ok_or_else(|| Problem::Away("it is away".into()))
        }
    }

    #[tokio::test]
    async fn a_state_is_known_since_it_changed() {
        let (health, flag) = (Health::default(), Arc::new(AtomicBool::new(true)));
        health.depends(
            "a.Service",
            "store",
            Need::Required,
            Arc::new(Flag(flag.clone())),
        );
        health.shows("a.Service", "mail server", Arc::new(Flag(flag.clone())));
        let at = |second| Timestamp::from_second(second).unwrap();
        for (now, up, since) in [
            (1, true, 1),
            (2, true, 1),
            (3, false, 3),
            (4, false, 3),
            (5, true, 5),
        ] {
            flag.store(up, Ordering::Relaxed);
            let checks = health.0.checks.lock().clone();
            let findings = results(checks).await;
            health.note(&findings, at(now));
            let known = health.0.known.lock()[&("a.Service", "store")].clone();
            assert_eq!((known.finding.is_up(), known.since), (up, at(since)));
        }
        flag.store(false, Ordering::Relaxed);
        assert_eq!(
            health.findings().await.len(),
            1,
            "what is only shown raises no alert"
        );
        assert_eq!(health.all_findings().await.len(), 2);
        let known = health.known().await;
        let down = known.iter().filter(|known| !known.finding.is_up());
        assert_eq!((known.len(), down.count()), (2, 2));
    }
}
