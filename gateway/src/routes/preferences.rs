//! `/preferences`: the caller's notification preferences.

use axum::extract::State;
use http::HeaderMap;
use slipway_proto::notify::v1::{self, GetPreferencesRequest, UpdatePreferencesRequest};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    etag::{Tagged, if_match},
    extract::{Caller, Payload},
    model::Preferences,
    problem::Problem,
};

/// The service's error code if `If-Match` does not match.
const CHANGED: &str = "PREFERENCES_CHANGED";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get, put))
}

/// The caller's notification preferences.
#[utoipa::path(
    get,
    path = "/preferences",
    operation_id = "getPreferences",
    tag = "notifications",
    responses(
        (
            status = 200,
            description = "The preferences; what applies by default, if none were chosen",
            body = Preferences,
            headers(("ETag" = String, description = "Their revision, for `If-Match`")),
        ),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(State(app): State<AppState>, caller: Caller) -> Result<Tagged<Preferences>, Problem> {
    let request = caller.outbound.request(GetPreferencesRequest {});
    let answer = app.preferences().get_preferences(request).await?;
    tagged(answer.into_inner().preferences)
}

/// Replaces all of the caller's preferences. A field that is left out gets its default.
///
/// | the recipient has | hotfix | system error | every other type |
/// | --- | --- | --- | --- |
/// | switched this type off | not sent | not sent | not sent |
/// | switched email off | not sent | sent | not sent |
/// | quiet hours, `SKIP` | sent | sent | not sent |
/// | quiet hours, `DEFER` | sent | sent | sent when they end |
///
/// They apply to new notifications and to waiting ones: a notification that waits for the end of
/// quiet hours is checked again when it is due. With `If-Match` they are replaced only if they are
/// still at that revision.
#[utoipa::path(
    put,
    path = "/preferences",
    operation_id = "replacePreferences",
    tag = "notifications",
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of what is replaced")),
    request_body(
        content = Preferences,
        example = json!({
            "email": true,
            "types": {"task.assigned": false},
            "quietHours": {"enabled": true, "start": "22:00", "end": "07:00", "mode": "DEFER"},
            "timeZone": "Europe/Berlin"
        }),
    ),
    responses(
        (
            status = 200,
            description = "The preferences",
            body = Preferences,
            headers(("ETag" = String, description = "Their revision, for `If-Match`")),
        ),
        (status = 412, description = "`PREFERENCES_CHANGED`: replaced meanwhile"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn put(
    State(app): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    Payload(preferences): Payload<Preferences>,
) -> Result<Tagged<Preferences>, Problem> {
    let condition = if_match(&headers, 0)?;
    let update = preferences.update();
    let answer = condition.guard(CHANGED, |revision| {
        let request = caller.outbound.request(UpdatePreferencesRequest {
            revision,
            ..update.clone()
        });
        let mut service = app.preferences();
        async move { service.update_preferences(request).await }
    });
    tagged(answer.await?.into_inner().preferences)
}

fn tagged(stored: Option<v1::StoredPreferences>) -> Result<Tagged<Preferences>, Problem> {
    let (body, revision) = Preferences::stored(stored)?;
    Ok(Tagged { revision, body })
}
