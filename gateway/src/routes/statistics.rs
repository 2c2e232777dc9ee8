//! `/stats…`: time series about the work, for everybody who is signed in.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    extract::{Caller, Params},
    model::{AssistantStatistics, DaysQuery, EventStatistics, HoursQuery, TaskStatistics},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(tasks))
        .routes(routes!(events))
        .routes(routes!(assistant))
}

/// Tasks completed, lead time, time in state and active developers, by day.
///
/// Days are those of UTC. Usually up to date within a second. The progress of each release is at
/// `GET /releases`.
#[utoipa::path(
    get,
    path = "/stats/tasks",
    operation_id = "getTaskStatistics",
    tag = "statistics",
    params(DaysQuery),
    responses((status = 200, description = "The days", body = TaskStatistics)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn tasks(
    State(app): State<AppState>,
    caller: Caller,
    Params(query): Params<DaysQuery>,
) -> Result<Json<TaskStatistics>, Problem> {
    let request = caller.outbound.request(query.request());
    let answer = app.statistics().get_task_statistics(request).await?;
    Ok(Json(answer.into_inner().try_into()?))
}

/// How many events were in the activity feed, by minute.
#[utoipa::path(
    get,
    path = "/stats/events",
    operation_id = "getEventStatistics",
    tag = "statistics",
    params(HoursQuery),
    responses((status = 200, description = "The minutes", body = EventStatistics)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn events(
    State(app): State<AppState>,
    caller: Caller,
    Params(query): Params<HoursQuery>,
) -> Result<Json<EventStatistics>, Problem> {
    let request = caller.outbound.request(query.request());
    let answer = app.statistics().get_traffic_statistics(request).await?;
    Ok(Json(answer.into_inner().try_into()?))
}

/// How many questions the assistant answered, by minute, and how long that took.
#[utoipa::path(
    get,
    path = "/stats/assistant",
    operation_id = "getAssistantStatistics",
    tag = "statistics",
    params(HoursQuery),
    responses((status = 200, description = "The minutes", body = AssistantStatistics)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn assistant(
    State(app): State<AppState>,
    caller: Caller,
    Params(query): Params<HoursQuery>,
) -> Result<Json<AssistantStatistics>, Problem> {
    let request = caller.outbound.request(query.request());
    let answer = app.statistics().get_traffic_statistics(request).await?;
    Ok(Json(answer.into_inner().try_into()?))
}
