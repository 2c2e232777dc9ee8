//! The health of the processes.

use jiff::Timestamp;
use serde::Serialize;
use slipway_proto::process::v1;
use utoipa::ToSchema;
use web::ProcessHealth as Told;

use super::{
    Malformed,
    proto::{self, required},
};

/// Whether something works. The order is that of how bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum HealthState {
    /// It works.
    Up,
    /// It works, but something is late or missing.
    Degraded,
    /// It does not work, or does not answer.
    Down,
}

/// Something that services need.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Dependency {
    /// Such as `database` or `mail server`.
    name: String,
    /// The services that need it.
    services: Vec<String>,
    /// Whether they cannot work without it; otherwise something is late or missing.
    required: bool,
    /// `UP` or `DOWN`.
    state: HealthState,
    /// Since when the process knows it in this state; at the earliest, since it was started.
    since: Timestamp,
    /// Why it is down; `null` if it is up.
    #[schema(required)]
    problem: Option<String>,
    /// What it means for users that it is down.
    meaning: String,
}

impl TryFrom<v1::Dependency> for Dependency {
    type Error = Malformed;

    fn try_from(dependency: v1::Dependency) -> Result<Self, Malformed> {
        let state = match dependency.state() {
            v1::DependencyState::Unspecified => None,
            v1::DependencyState::Up => Some(HealthState::Up),
            v1::DependencyState::Down => Some(HealthState::Down),
        };
        Ok(Self {
            state: required("state", state)?,
            since: proto::time("since", dependency.since)?,
            name: dependency.name,
            services: dependency.services,
            required: dependency.required,
            problem: Some(dependency.problem).filter(|problem| !problem.is_empty()),
            meaning: dependency.meaning,
        })
    }
}

/// A process of Slipway.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessHealth {
    /// `slipway` if it is the only one, else its role.
    name: String,
    state: HealthState,
    /// Why it does not answer; `null` if it does.
    #[schema(required)]
    problem: Option<String>,
    /// `null` if it does not answer.
    #[schema(required)]
    version: Option<String>,
    /// `null` if it does not answer.
    #[schema(required)]
    started_at: Option<Timestamp>,
    /// What is down comes first.
    dependencies: Vec<Dependency>,
}

impl TryFrom<Told> for ProcessHealth {
    type Error = Malformed;

    fn try_from(told: Told) -> Result<Self, Malformed> {
        let name = told.name.to_owned();
        let health = match told.health {
            Ok(health) => health,
            Err(fault) => {
                return Ok(Self {
                    name,
                    state: HealthState::Down,
                    problem: Some(fault.detail),
                    version: None,
                    started_at: None,
                    dependencies: Vec::new(),
                });
            }
        };
        let dependencies = health.dependencies.into_iter().map(Dependency::try_from);
        let dependencies: Vec<_> = dependencies.collect::<Result<_, _>>()?;
        let down = dependencies
            .iter()
            .filter(|one| one.state == HealthState::Down);
        let effects = down.map(|one| match one.required {
            true => HealthState::Down,
            false => HealthState::Degraded,
        });
        Ok(Self {
            name,
            state: effects.max().unwrap_or(HealthState::Up),
            problem: None,
            version: Some(health.version),
            started_at: Some(proto::time("started_at", health.started_at)?),
            dependencies,
        })
    }
}

/// The health of all processes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SystemHealth {
    /// The worst of all of them.
    state: HealthState,
    /// Of several replicas of a process, one has answered.
    processes: Vec<ProcessHealth>,
}

impl TryFrom<Vec<Told>> for SystemHealth {
    type Error = Malformed;

    fn try_from(told: Vec<Told>) -> Result<Self, Malformed> {
        let processes = told.into_iter().map(ProcessHealth::try_from);
        let processes: Vec<_> = processes.collect::<Result<_, _>>()?;
        let worst = processes.iter().map(|process| process.state).max();
        Ok(Self {
            state: worst.unwrap_or(HealthState::Up),
            processes,
        })
    }
}

#[cfg(test)]
mod tests {
    use slipway_rpc::error::{Fault, Kind};

    use super::*;

    fn told(required: bool, down: bool) -> Told {
        let state = match down {
            true => v1::DependencyState::Down,
            false => v1::DependencyState::Up,
        };
        let dependency = v1::Dependency {
            name: "database".into(),
            required,
            state: state.into(),
            since: Some(prost_types::Timestamp::default()),
            ..v1::Dependency::default()
        };
        let health = v1::GetHealthResponse {
            started_at: Some(prost_types::Timestamp::default()),
            dependencies: vec![dependency],
            ..v1::GetHealthResponse::default()
        };
        Told {
            name: "release",
            health: Ok(health),
        }
    }

    #[test]
    fn a_process_is_as_well_as_what_it_needs_and_all_are_as_well_as_the_worst() {
        let silent = || Told {
            name: "forum",
            health: Err(Fault::new(
                Kind::Unavailable,
                "UNAVAILABLE",
                "It does not answer.",
            )),
        };
        let state = |told| SystemHealth::try_from(told).unwrap().state;
        assert_eq!(state(vec![told(true, false)]), HealthState::Up);
        assert_eq!(
            state(vec![told(true, false), told(false, true)]),
            HealthState::Degraded
        );
        assert_eq!(
            state(vec![told(false, true), told(true, true)]),
            HealthState::Down
        );
        let health = SystemHealth::try_from(vec![told(true, false), silent()]).unwrap();
        assert_eq!(health.state, HealthState::Down);
        assert_eq!(health.processes[0].state, HealthState::Up);
        assert_eq!(
            health.processes[1].problem.as_deref(),
            Some("It does not answer.")
        );
    }
}
