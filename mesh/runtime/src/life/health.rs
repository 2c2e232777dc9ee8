//! The health of a process: whether it can serve, and which dependencies fail.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use serde::Serialize;

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

    /// Changes the phase.
    pub fn enter(&self, phase: Phase) {
        *self.0.phase.lock() = phase;
    }

    /// The current phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.phase.lock()
    }

    /// Checks all dependencies concurrently.
    pub async fn findings(&self) -> Vec<Finding> {
        let checks = self.0.checks.lock().clone();
        join_all(checks.into_iter().map(|named| async move {
            let problem = match tokio::time::timeout(CHECK_TIMEOUT, named.check.check()).await {
                Ok(Ok(())) => None,
                Ok(Err(problem)) => Some(problem),
                Err(_) => Some(Problem::Away(format!("no answer within {CHECK_TIMEOUT:?}"))),
            };
            Finding {
                service: named.service,
                dependency: named.dependency,
                need: named.need,
                problem,
            }
        }))
        .await
    }
}

#[cfg(test)]
mod tests {
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
}
