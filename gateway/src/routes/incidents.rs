//! `/admin/incidents` and `/hooks/alerts`: faults of the system.

use axum::{Json, extract::State};
use http::StatusCode;
use slipway_proto::notify::v1::ReportManyRequest;
use slipway_rpc::grpc::Outbound;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::ForAdmins;
use crate::{
    app::AppState,
    extract::{Caller, Hook, ListParams, Payload},
    model::{AlertsHook, Incident, IncidentsQuery, Page, Paging},
    problem::Problem,
};

/// How many reports go to notify-svc in one call.
const REPORTS: usize = 100;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(alerts))
}

/// Faults that were reported to administrators, the last seen first.
#[utoipa::path(
    get,
    path = "/admin/incidents",
    operation_id = "listIncidents",
    tag = "administration",
    params(IncidentsQuery, Paging),
    responses(
        (status = 200, description = "A page of incidents", body = Page<Incident>),
        ForAdmins,
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<IncidentsQuery>,
) -> Result<Json<Page<Incident>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.incidents().list_incidents(request).await?.into_inner();
    Ok(Json(Page::new(answer.incidents, answer.next_page_token)?))
}

/// Accepts the alerts of Grafana and Alertmanager: each becomes an incident.
///
/// Their webhook sends the configured secret as `Authorization: Bearer`, or a token for programs of
/// an admin with the scope `WORK` or `ADMIN`. Without a configured secret this address exists for
/// such tokens only. Unknown fields are ignored, because the senders
/// have many. Every alert is accepted, because the senders do not repeat refused requests. Values
/// that are blank, `null` or of another type count as left out. Those beyond the first 1,000 of a
/// request become one incident together.
#[utoipa::path(
    post,
    path = "/hooks/alerts",
    operation_id = "takeAlerts",
    tag = "administration",
    request_body(
        content = AlertsHook,
        example = json!({"alerts": [{
            "status": "firing",
            "labels": {"alertname": "DiskFull", "job": "node"},
            "annotations": {"summary": "The disk of node-1 is 90 % full"},
            "startsAt": "2026-03-01T10:00:00Z",
            "fingerprint": "c0ffee"
        }]}),
    ),
    responses(
        (status = 204, description = "All of them are accepted"),
        (status = 401, description = "`UNAUTHENTICATED`: another secret, or none"),
        (status = 404, description = "`NOT_FOUND`: no secret is configured"),
    ),
    security(("webhook" = [])),
)]
async fn alerts(
    State(app): State<AppState>,
    _: Hook,
    Payload(hook): Payload<AlertsHook>,
) -> Result<StatusCode, Problem> {
    let reports: Vec<_> = hook.reports(app.clock.now()).collect();
    for reports in reports.chunks(REPORTS) {
        let outbound = Outbound {
            deadline: Some(app.deadline),
            ..Outbound::with_token(app.services.current())
        };
        let reports = reports.to_vec();
        let request = outbound.request(ReportManyRequest { reports });
        app.incidents().report_many(request).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
