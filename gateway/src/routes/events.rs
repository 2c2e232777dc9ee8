//! `/events…`: custom events of other programs.

use axum::{Json, extract::State, response::IntoResponse};
use http::{HeaderName, StatusCode, header::LOCATION};
use slipway_proto::notify::v1::GetEventRequest;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::Repeatable;
use crate::{
    app::AppState,
    extract::{Caller, PathId, PathName, Payload},
    model::{AcceptedEvent, EventStatus, Id, NewEvent},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(announce))
        .routes(routes!(get))
}

/// Notifies users of an event of another program.
///
/// An administrator must have created templates for the type. An administrator may notify anybody,
/// other users only themselves. `data` must have exactly the variables of the templates. After the
/// answer the event is stored, and its notifications will be created. Each caller may announce 10
/// events per minute.
#[utoipa::path(
    post,
    path = "/events/{eventType}",
    operation_id = "announceEvent",
    tag = "notifications",
    params(
        (
            "eventType" = String,
            Path,
            description = "The type, such as `order-placed`",
            example = "order-placed",
        ),
        Repeatable,
    ),
    request_body(
        content = NewEvent,
        example = json!({"data": {"orderId": "A-1042", "note": null}}),
    ),
    responses(
        (
            status = 202,
            description = "Accepted",
            body = AcceptedEvent,
            headers(
                ("Location" = String, description = "The address of its status"),
                ("RateLimit" = String, description = "How many more may come now"),
            ),
        ),
        (status = 403, description = "`ADMIN_REQUIRED`: others are to be notified"),
        (status = 404, description = "`UNKNOWN_EVENT_TYPE`: see `types`"),
        (status = 409, description = "`IDEMPOTENCY_KEY_REUSED`"),
        (status = 429, description = "`TOO_MANY_EVENTS`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn announce(
    State(app): State<AppState>,
    caller: Caller,
    PathName(kind): PathName,
    Payload(event): Payload<NewEvent>,
) -> Result<impl IntoResponse, Problem> {
    let request = caller.outbound.request(event.announcement(kind));
    let answer = app.events().announce_event(request).await?.into_inner();
    let left = format!("\"default\";r={};t=60", answer.left);
    let accepted = AcceptedEvent::try_from(answer)?;
    let headers = [
        (LOCATION, accepted.status_url.clone()),
        (HeaderName::from_static("ratelimit"), left),
    ];
    Ok((StatusCode::ACCEPTED, headers, Json(accepted)))
}

/// The status of an event, for its sender and for administrators; available for a day.
#[utoipa::path(
    get,
    path = "/events/accepted/{id}",
    operation_id = "getEvent",
    tag = "notifications",
    params(("id" = Id, Path, description = "Id of the event")),
    responses(
        (status = 200, description = "Its status", body = EventStatus),
        (status = 404, description = "`EVENT_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<EventStatus>, Problem> {
    let id = id.to_string();
    let request = caller.outbound.request(GetEventRequest { id });
    let answer = app.events().get_event(request).await?.into_inner();
    Ok(Json(answer.try_into()?))
}
