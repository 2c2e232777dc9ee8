//! `/admin/health`, `/admin/metrics` and `/admin/logs`: how Slipway itself is doing.

use axum::{Json, extract::State};
use slipway_proto::notify::v1::GetDeliveryFiguresRequest;
use utoipa_axum::{router::OpenApiRouter, routes};
use web::Processes as _;

use super::document::ForAdmins;
use crate::{
    app::AppState,
    extract::{Caller, ListParams},
    model::{DeliveryFigures, LogEntry, LogQuery, Page, Paging, SystemHealth},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(metrics))
        .routes(routes!(logs))
}

/// What every process depends on, and since when that is available or not.
///
/// The answer is 200 whatever the state. Each process tells what its own health checks found within
/// the last seconds; one that does not answer within two seconds is `DOWN`.
#[utoipa::path(
    get,
    path = "/admin/health",
    operation_id = "getSystemHealth",
    tag = "administration",
    responses(
        (status = 200, description = "The health of the processes", body = SystemHealth),
        ForAdmins,
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn health(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<SystemHealth>, Problem> {
    let told = app.processes.health(&caller.outbound).await?;
    Ok(Json(told.try_into()?))
}

/// What became of today's notifications: counts, success rate and latency.
///
/// Counted from the stored notifications when it is asked for.
#[utoipa::path(
    get,
    path = "/admin/metrics",
    operation_id = "getDeliveryFigures",
    tag = "administration",
    responses(
        (status = 200, description = "The figures of today", body = DeliveryFigures),
        ForAdmins,
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn metrics(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<DeliveryFigures>, Problem> {
    let request = caller.outbound.request(GetDeliveryFiguresRequest {});
    let answer = app.notifications().get_delivery_figures(request).await?;
    Ok(Json(answer.into_inner().try_into()?))
}

/// Incidents, dead letters, failed notifications and what administrators did, newest first.
///
/// Each source looks at a limited number of its records a page: a page may have fewer than `limit`,
/// or none, though `nextCursor` leads on.
#[utoipa::path(
    get,
    path = "/admin/logs",
    operation_id = "listLogEntries",
    tag = "administration",
    params(LogQuery, Paging),
    responses(
        (status = 200, description = "A page of entries", body = Page<LogEntry>),
        ForAdmins,
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn logs(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<LogQuery>,
) -> Result<Json<Page<LogEntry>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.log().list_log_entries(request).await?.into_inner();
    Ok(Json(Page::new(answer.entries, answer.next_page_token)?))
}
