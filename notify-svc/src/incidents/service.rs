//! `slipway.notify.v1.IncidentService`: translates requests, calls [`Alerting`], translates
//! results.

use std::sync::Arc;

use futures::future::try_join_all;
use jiff::Timestamp;
use slipway_proto::{
    events::SystemErrorEvent,
    notify::v1::{
        self, ListIncidentsRequest, ListIncidentsResponse, ReportManyRequest, ReportManyResponse,
        ReportRequest, ReportResponse, incident_service_server::IncidentService,
    },
    time::{from_proto, to_proto as timestamp},
};
use slipway_rpc::{error::Fault, page};
use slipway_runtime::id;
use tonic::{Request, Response, Status};

use super::{
    Incident, Report, State,
    alerting::{AT_ONCE, Alerting},
};

/// The service.
pub(crate) struct IncidentApi {
    alerting: Arc<Alerting>,
}

impl IncidentApi {
    pub(crate) fn new(alerting: Arc<Alerting>) -> Self {
        Self { alerting }
    }
}

#[tonic::async_trait]
impl IncidentService for IncidentApi {
    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        let report = report(request.into_inner())?;
        let stored = self.alerting.report(vec![report]).await;
        stored.map_err(Fault::from)?;
        Ok(Response::new(ReportResponse {}))
    }

    async fn report_many(
        &self,
        request: Request<ReportManyRequest>,
    ) -> Result<Response<ReportManyResponse>, Status> {
        let reports = request.into_inner().reports;
        if reports.len() > AT_ONCE as usize {
            let message = format!("must have at most {AT_ONCE} entries");
            return Err(Fault::invalid_field("reports", message).into());
        }
        let reports: Result<_, Fault> = reports.into_iter().map(report).collect();
        let stored = self.alerting.report(reports?).await;
        stored.map_err(Fault::from)?;
        Ok(Response::new(ReportManyResponse {}))
    }

    async fn list_incidents(
        &self,
        request: Request<ListIncidentsRequest>,
    ) -> Result<Response<ListIncidentsResponse>, Status> {
        let request = request.into_inner();
        let state = state(&request)?;
        let limit = page::limit(request.page_size, page::MAX_LIMIT)?;
        let list = format!("incidents?{state:?}");
        let after = page::decode_cursor(&list, &request.page_token)?;
        let found = self.alerting.list(state, after, limit).await;
        let found = found.map_err(Fault::from)?;
        let emailed = found.items.iter().map(|one| self.alerting.emailed_at(one));
        let emailed = try_join_all(emailed).await.map_err(Fault::from)?;
        let shown = found.items.into_iter().zip(emailed);
        Ok(Response::new(ListIncidentsResponse {
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
            incidents: shown.map(|(one, at)| incident(one, at)).collect(),
        }))
    }
}

fn report(request: ReportRequest) -> Result<Report, Fault> {
    let id =
        id::parse(&request.id).map_err(|error| Fault::invalid_field("id", error.to_string()))?;
    let since = request.since.unwrap_or_default();
    let since = from_proto(since)
        .map_err(|_| Fault::invalid_field("since", "must be a time of the years -9999 to 9999"))?;
    let event = SystemErrorEvent {
        service: request.service,
        kind: request.kind,
        fingerprint: request.fingerprint,
        summary: request.summary,
        since,
        count: request.count,
        resolved: request.resolved,
        lasts: request.lasts,
        trace_id: Some(request.trace_id).filter(|id| !id.is_empty()),
    };
    Report::new(id, event)
        .map_err(|malformed| Fault::invalid_field(malformed.0, malformed.to_string()))
}

fn state(request: &ListIncidentsRequest) -> Result<Option<State>, Fault> {
    match request.state() {
        v1::IncidentState::Unspecified if request.state != 0 => {
            Err(Fault::invalid_field("state", "must be OPEN or RESOLVED"))
        }
        v1::IncidentState::Unspecified => Ok(None),
        v1::IncidentState::Open => Ok(Some(State::Open)),
        v1::IncidentState::Resolved => Ok(Some(State::Resolved)),
    }
}

fn incident(incident: Incident, emailed_at: Vec<Timestamp>) -> v1::Incident {
    let state = match incident.state {
        State::Open => v1::IncidentState::Open,
        State::Resolved => v1::IncidentState::Resolved,
    };
    v1::Incident {
        id: incident.id.to_string(),
        state: state.into(),
        emailed_at: emailed_at.into_iter().map(timestamp).collect(),
        service: incident.service,
        kind: incident.kind,
        fingerprint: incident.fingerprint,
        summary: incident.summary,
        first_seen: Some(timestamp(incident.first_seen)),
        last_seen: Some(timestamp(incident.last_seen)),
        count: incident.count,
        resolved_at: incident.resolved_at.map(timestamp),
        trace_id: incident.trace_id.unwrap_or_default(),
    }
}
