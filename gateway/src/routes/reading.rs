//! `/read-position`: how far the caller has read.

use axum::{Json, extract::State};
use slipway_proto::notify::v1::GetReadPositionRequest;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    extract::{Caller, Payload},
    model::{NewReadPosition, ReadPosition, required},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get, update))
}

/// How far the caller has read the activity feed and their notifications, and how much is unread.
#[utoipa::path(
    get,
    path = "/read-position",
    operation_id = "getReadPosition",
    tag = "activity",
    responses((status = 200, description = "The position", body = ReadPosition)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(State(app): State<AppState>, caller: Caller) -> Result<Json<ReadPosition>, Problem> {
    let request = caller.outbound.request(GetReadPositionRequest {});
    let answer = app.reading().get_read_position(request).await?.into_inner();
    Ok(Json(required("position", answer.position)?.try_into()?))
}

/// Says what was read. The position never moves back, so that clients may say it in any order.
#[utoipa::path(
    put,
    path = "/read-position",
    operation_id = "updateReadPosition",
    tag = "activity",
    request_body(content = NewReadPosition, example = json!({"sequence": 42})),
    responses((status = 200, description = "The position then", body = ReadPosition)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn update(
    State(app): State<AppState>,
    caller: Caller,
    Payload(position): Payload<NewReadPosition>,
) -> Result<Json<ReadPosition>, Problem> {
    let request = caller.outbound.request(position.request()?);
    let answer = app.reading().update_read_position(request).await?;
    let position = required("position", answer.into_inner().position)?;
    Ok(Json(position.try_into()?))
}
