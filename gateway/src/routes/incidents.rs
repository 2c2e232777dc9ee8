//! `/admin/incidents` and `/hooks/alerts`: what is wrong with the system.

use axum::{Json, extract::State};
use http::StatusCode;
use slipway_rpc::grpc::Outbound;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::ForAdmins;
use crate::{
    app::AppState,
    extract::{Caller, Hook, ListParams, Payload},
    model::{AlertsHook, Incident, IncidentsQuery, Page, Paging},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(alerts))
}

/// Faults that administrators were told of, the last seen first.
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
/// Their webhook sends the configured secret as `Authorization: Bearer`. Without a
/// configured secret this address does not exist. Fields that are not known are ignored:
/// the senders have many. Every alert is taken: the senders do not repeat what is refused.
/// What is blank, `null` or of another form counts as left out.
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
        (status = 204, description = "All of them are taken up"),
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
    for report in hook.reports(app.clock.now()) {
        let outbound = Outbound {
            deadline: Some(app.deadline),
            ..Outbound::with_token(app.services.current())
        };
        app.incidents().report(outbound.request(report)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
