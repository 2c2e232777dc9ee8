//! Incidents: faults that administrators must know of; and the alerts of other programs
//! that become such.

use std::{collections::BTreeMap, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_mesh::text::is_blank;
use slipway_proto::notify::v1;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Id, Malformed, Paging,
    proto::{self, required, to_proto},
};
use crate::extract::parsed;

/// Whether an incident lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum IncidentState {
    /// It lasts.
    Open,
    /// Its source said that it is over, or it has not been reported for ten minutes.
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

/// A fault, with everything that was reported of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Incident {
    id: Id,
    state: IncidentState,
    /// The service that noticed it.
    service: String,
    /// For example `bus-unreachable`.
    kind: String,
    /// What makes two reports one incident.
    fingerprint: String,
    /// One line for a person.
    summary: String,
    first_seen: Timestamp,
    last_seen: Timestamp,
    /// How often it happened.
    count: u64,
    /// `null` while it lasts.
    #[schema(required)]
    resolved_at: Option<Timestamp>,
    /// When administrators were mailed, the last 20 times.
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
    /// The page of the list that is asked for.
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

/// What Alertmanager and Grafana send to a webhook, as far as it matters here. Both send
/// more, and more with each version.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AlertsHook {
    #[schema(max_items = 1000)]
    alerts: Vec<Alert>,
}

/// One alert of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: AlertStatus,
    /// What tells it from others; `alertname` names it.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// What it says; `summary` or `description` is what administrators read.
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    starts_at: Option<Timestamp>,
    /// What makes two of them the same; without it their labels do.
    #[serde(default)]
    fingerprint: String,
}

/// Whether an alert lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AlertStatus {
    Firing,
    Resolved,
}

/// Alerts of one request at most: each is a report of its own.
const ALERTS: usize = 1000;

impl AlertsHook {
    /// Whether it holds more than is taken.
    pub(crate) fn is_too_long(&self) -> bool {
        self.alerts.len() > ALERTS
    }

    /// A report for each alert, heard at `now`.
    pub(crate) fn reports(self, now: Timestamp) -> impl Iterator<Item = v1::ReportRequest> {
        self.alerts.into_iter().map(move |alert| alert.report(now))
    }
}

impl Alert {
    fn report(self, now: Timestamp) -> v1::ReportRequest {
        let label = |name: &str| self.labels.get(name).filter(|text| !is_blank(text));
        let said = |name: &str| self.annotations.get(name).filter(|text| !is_blank(text));
        let name = label("alertname").map_or("an alert without a name", String::as_str);
        let summary = said("summary").or_else(|| said("description"));
        let fingerprint = match self.fingerprint.as_str() {
            blank if is_blank(blank) => self
                .labels
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
                .join(","),
            given => given.to_owned(),
        };
        v1::ReportRequest {
            id: Uuid::now_v7().to_string(),
            service: label("job")
                .or_else(|| label("service"))
                .map_or("alerts", String::as_str)
                .to_owned(),
            kind: "alert".to_owned(),
            fingerprint: format!("alert/{fingerprint}"),
            summary: summary.map_or(name, String::as_str).to_owned(),
            since: Some(to_proto(self.starts_at.unwrap_or(now))),
            count: u64::from(self.status == AlertStatus::Firing),
            resolved: self.status == AlertStatus::Resolved,
            lasts: true,
            trace_id: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(json: &str) -> Vec<v1::ReportRequest> {
        let hook: AlertsHook = serde_json::from_str(json).unwrap();
        hook.reports(Timestamp::UNIX_EPOCH).collect()
    }

    #[test]
    fn alertmanager_is_understood() {
        let reports = reports(
            r#"{"version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing",
                "receiver": "slipway", "groupLabels": {}, "commonLabels": {},
                "commonAnnotations": {}, "externalURL": "http://am:9093",
                "alerts": [
                  {"status": "firing", "labels": {"alertname": "HighLatency", "job": "gateway"},
                   "annotations": {"summary": "p99 is 2 s"}, "startsAt": "2026-01-02T03:04:05.678Z",
                   "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://p:9090/graph",
                   "fingerprint": "c0ffee"},
                  {"status": "resolved", "labels": {"alertname": "Down"}, "annotations": {},
                   "startsAt": "2026-01-02T03:04:05Z", "endsAt": "2026-01-02T03:05:05Z",
                   "generatorURL": "", "fingerprint": "beef"}]}"#,
        );
        let [firing, resolved] = reports.as_slice() else {
            panic!("two alerts")
        };
        assert_eq!(firing.fingerprint, "alert/c0ffee");
        assert_eq!(
            (&*firing.service, &*firing.summary),
            ("gateway", "p99 is 2 s")
        );
        assert_eq!((firing.resolved, firing.count), (false, 1));
        assert_eq!((&*resolved.service, &*resolved.summary), ("alerts", "Down"));
        assert!(resolved.resolved && resolved.lasts);
    }

    #[test]
    fn grafana_is_understood() {
        let reports = reports(
            r#"{"receiver": "webhook", "status": "firing", "orgId": 1, "title": "[FIRING:1]",
                "state": "alerting", "message": "**Firing**",
                "alerts": [{"status": "firing", "labels": {"alertname": "Disk", "grafana_folder": "x"},
                  "annotations": {"description": "90 % full"}, "startsAt": "2026-01-02T03:04:05+01:00",
                  "endsAt": "0001-01-01T00:00:00Z", "values": {"B": 90}, "fingerprint": "",
                  "silenceURL": "http://g/", "dashboardURL": "", "panelURL": "", "imageURL": ""}]}"#,
        );
        assert_eq!(reports[0].summary, "90 % full");
        assert_eq!(
            reports[0].fingerprint,
            "alert/alertname=Disk,grafana_folder=x"
        );
    }

    #[test]
    fn what_nobody_can_see_is_as_if_it_was_not_there() {
        let reports = reports(
            r#"{"alerts": [{"status": "firing", "labels": {"alertname": "Disk", "job": "\u2800"},
                "annotations": {"summary": "\u200b\ufeff", "description": "90 % full"},
                "fingerprint": "\u3164"},
               {"status": "firing", "labels": {"alertname": "\u00ad"}, "annotations": {}}]}"#,
        );
        let [seen, nameless] = reports.as_slice() else {
            panic!("two alerts")
        };
        assert_eq!((&*seen.service, &*seen.summary), ("alerts", "90 % full"));
        assert_eq!(seen.fingerprint, "alert/alertname=Disk,job=\u{2800}");
        assert_eq!(nameless.summary, "an alert without a name");
    }
}
