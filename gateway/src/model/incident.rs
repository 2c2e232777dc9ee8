//! Incidents: faults that administrators must know of.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::notify::v1;
use utoipa::{IntoParams, ToSchema};

use super::{
    Id, Malformed, Paging,
    proto::{self, required},
};
use crate::extract::parsed;

/// The state of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum IncidentState {
    /// It is active.
    Open,
    /// Its source reported the end, or it has not been reported for ten minutes.
    Resolved,
}

impl FromStr for IncidentState {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "OPEN" => Ok(Self::Open),
            "RESOLVED" => Ok(Self::Resolved),
            _ => Err("must be OPEN or RESOLVED"),
        }
    }
}

/// A fault, with all its reports combined.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Incident {
    id: Id,
    state: IncidentState,
    /// The service that reported it.
    service: String,
    /// For example `bus-unreachable`.
    kind: String,
    /// Reports with the same fingerprint belong to the same incident.
    fingerprint: String,
    /// One line for a person.
    summary: String,
    first_seen: Timestamp,
    last_seen: Timestamp,
    /// How often it happened.
    count: u64,
    /// `null` while it is open.
    #[schema(required)]
    resolved_at: Option<Timestamp>,
    /// When the mail server accepted mails about it: the last 20. A mail about several incidents
    /// counts when it is sent.
    emailed_at: Vec<Timestamp>,
    /// A trace in which it happened.
    #[schema(required)]
    trace_id: Option<String>,
}

impl TryFrom<v1::Incident> for Incident {
    type Error = Malformed;

    fn try_from(incident: v1::Incident) -> Result<Self, Malformed> {
        let state = match incident.state() {
            v1::IncidentState::Unspecified => None,
            v1::IncidentState::Open => Some(IncidentState::Open),
            v1::IncidentState::Resolved => Some(IncidentState::Resolved),
        };
        let emailed = incident.emailed_at.into_iter();
        Ok(Self {
            id: proto::id("incident id", &incident.id)?,
            state: required("state", state)?,
            service: incident.service,
            kind: incident.kind,
            fingerprint: incident.fingerprint,
            summary: incident.summary,
            first_seen: proto::time("first_seen", incident.first_seen)?,
            last_seen: proto::time("last_seen", incident.last_seen)?,
            count: incident.count,
            resolved_at: proto::optional_time("resolved_at", incident.resolved_at)?,
            emailed_at: emailed
                .map(|at| proto::time("emailed_at", Some(at)))
                .collect::<Result<_, _>>()?,
            trace_id: Some(incident.trace_id).filter(|id| !id.is_empty()),
        })
    }
}

/// The parameters of the list of incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncidentsQuery {
    /// Only in this state.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    state: Option<IncidentState>,
}

impl IncidentsQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListIncidentsRequest {
        let state = match self.state {
            None => v1::IncidentState::Unspecified,
            Some(IncidentState::Open) => v1::IncidentState::Open,
            Some(IncidentState::Resolved) => v1::IncidentState::Resolved,
        };
        v1::ListIncidentsRequest {
            state: state.into(),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}
