//! `slipway.process.v1.ProcessService`: what this process depends on, for administrators.
//!
//! It has what the health checks of the process found last, by dependency instead of by service: a
//! database is one row, whatever the number of services that need it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;
use slipway_proto::{
    process::v1::{
        Dependency, DependencyState, GetHealthRequest, GetHealthResponse,
        process_service_server::{ProcessService, ProcessServiceServer},
    },
    time::to_proto,
};
use slipway_runtime::{
    alarm::watch::CONSUMER,
    clock::{Clock as _, SystemClock},
    life::{Health, Known, Need},
};
use tonic::{Request, Response, Status, service::Routes};

use crate::{cli::Role, version::VERSION};

/// The full name of the service.
pub(super) const SERVICE: &str = "slipway.process.v1.ProcessService";

/// The service.
pub(super) struct ProcessApi {
    role: Role,
    started_at: Timestamp,
    health: Health,
}

impl ProcessApi {
    /// Of a process that runs `role` and has this health.
    pub(super) fn new(role: Role, health: Health) -> Self {
        Self {
            role,
            started_at: SystemClock.now(),
            health,
        }
    }

    /// Adds the service to routes.
    pub(super) fn add_to(self, routes: Routes) -> Routes {
        routes.add_service(ProcessServiceServer::new(self))
    }
}

#[tonic::async_trait]
impl ProcessService for ProcessApi {
    async fn get_health(
        &self,
        _: Request<GetHealthRequest>,
    ) -> Result<Response<GetHealthResponse>, Status> {
        Ok(Response::new(GetHealthResponse {
            role: self.role.as_str().to_owned(),
            version: VERSION.to_owned(),
            started_at: Some(to_proto(self.started_at)),
            dependencies: dependencies(self.health.known().await),
        }))
    }
}

/// The name of a dependency of a service, and what it means for users that it is down.
fn described(service: &str, dependency: &str) -> (String, &'static str) {
    let (name, meaning) = match dependency {
        "store" => ("database", "These services refuse requests with 503."),
        "bus" => (
            "event bus",
            "Changes are accepted, and their events wait: the activity feed, the audit trail and \
             mails are late.",
        ),
        "topics" => (
            "topics",
            "Events of these topics wait until the topics exist.",
        ),
        "mail" | "mail server" => (
            "mail server",
            "Mails wait, and are sent when it is back. After 24 hours they are given up.",
        ),
        "model" => (
            "assistant's model",
            "The assistant answers no question; it keeps them, and refuses with 503.",
        ),
        "service secret" => (
            "service secret",
            "Services do not trust each other: SLIPWAY_SERVICE_SECRET must be the same everywhere.",
        ),
        CONSUMER => {
            let meaning = "What this consumer group keeps up to date is late.";
            return (format!("consumer group {service}"), meaning);
        }
        other => match owner(other) {
            "release-svc" => (
                "release-svc",
                "Nobody can sign in, and releases and tasks cannot be read or changed.",
            ),
            "forum-svc" => ("forum-svc", "Discussions cannot be read or continued."),
            "chat-svc" => ("chat-svc", "The assistant cannot be asked."),
            "notify-svc" => (
                "notify-svc",
                "The activity feed, notifications, statistics and administration are missing.",
            ),
            other => (other, "Something is late or missing."),
        },
    };
    (name.to_owned(), meaning)
}

/// The service that a dependency on a gRPC service is about.
fn owner(dependency: &str) -> &str {
    let package = dependency.strip_prefix("slipway.");
    match package.and_then(|rest| rest.split('.').next()) {
        Some("identity" | "release") => "release-svc",
        Some("forum") => "forum-svc",
        Some("chat") => "chat-svc",
        Some("notify") => "notify-svc",
        _ => dependency,
    }
}

/// The same dependency of several services together; what is down comes first.
fn dependencies(known: Vec<Known>) -> Vec<Dependency> {
    let mut together: BTreeMap<(String, &'static str), Vec<Known>> = BTreeMap::new();
    for known in known {
        let described = described(known.finding.service, known.finding.dependency);
        together.entry(described).or_default().push(known);
    }
    let rows = together.into_iter().map(|((name, meaning), of)| {
        let down: Vec<_> = of.iter().filter(|known| !known.finding.is_up()).collect();
        let problem = down.iter().find_map(|known| known.finding.problem.clone());
        let (state, since) = match down.iter().map(|known| known.since).min() {
            Some(since) => (DependencyState::Down, Some(since)),
            None => (
                DependencyState::Up,
                of.iter().map(|known| known.since).max(),
            ),
        };
        let services: BTreeSet<_> = of.iter().map(|known| known.finding.service).collect();
        Dependency {
            name,
            services: services.into_iter().map(str::to_owned).collect(),
            required: of.iter().any(|known| known.finding.need == Need::Required),
            state: state.into(),
            since: since.map(to_proto),
            problem: problem.map(String::from).unwrap_or_default(),
            meaning: meaning.to_owned(),
        }
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| (Reverse(row.state), Reverse(row.required)));
    rows
}

#[cfg(test)]
mod tests {
    use slipway_runtime::life::{Finding, Problem};

    use super::*;

    fn known(service: &'static str, dependency: &'static str, down: bool, since: i64) -> Known {
        Known {
            finding: Finding {
                service,
                dependency,
                need: match dependency {
                    "store" => Need::Required,
                    _ => Need::Degraded,
                },
                problem: down.then(|| Problem::Away(format!("{service} cannot reach it"))),
            },
            since: Timestamp::from_second(since).unwrap(),
        }
    }

    #[test]
    fn a_dependency_of_several_services_is_one_row_and_what_is_down_comes_first() {
        let rows = dependencies(vec![
            known("a", "bus", true, 9),
            known("a", "store", false, 1),
            known("b", "bus", true, 7),
            known("b", "store", false, 3),
            known("activity", CONSUMER, false, 1),
            known("audit", CONSUMER, true, 2),
            known("gateway", "slipway.notify.v1.ActivityService", true, 5),
            known("gateway", "slipway.notify.v1.AuditService", false, 5),
        ]);
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "consumer group audit",
                "event bus",
                "notify-svc",
                "database",
                "consumer group activity",
            ]
        );
        let bus = &rows[1];
        assert_eq!(bus.services, ["a", "b"]);
        assert_eq!(
            bus.since.map(|since| since.seconds),
            Some(7),
            "since the first failed"
        );
        assert_eq!(
            (bus.required, bus.problem.as_str()),
            (false, "a cannot reach it")
        );
        let database = &rows[3];
        assert_eq!(database.state(), DependencyState::Up);
        assert_eq!(database.since.map(|since| since.seconds), Some(3));
        assert!(database.required && database.problem.is_empty());
    }
}
