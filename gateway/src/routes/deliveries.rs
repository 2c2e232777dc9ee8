//! `/hooks/deliveries`: confirmations by the mail server's operator about sent mails.

use std::time::Duration;

use axum::{Json, extract::State};
use slipway_rpc::{
    error::{Fault, Kind},
    grpc::Outbound,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    extract::{Hook, Payload},
    model::{ConfirmedDeliveries, DeliveriesHook},
    problem::Problem,
};

/// `Retry-After` for confirmations that are too early: by then an accepted mail is in the log.
const AGAIN: Duration = Duration::from_secs(10);

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(confirm))
}

/// Records that mails were delivered or bounced.
///
/// Needs the configured webhook secret, or a token for programs of an admin with the scope `WORK` or
/// `ADMIN`, as `Authorization: Bearer`; without a configured secret this address exists for such
/// tokens only. A repeated request changes nothing and gets the same answer, so it
/// is safe to repeat. Unknown mails and invalid confirmations are reported in their results and do
/// not affect the others.
#[utoipa::path(
    post,
    path = "/hooks/deliveries",
    operation_id = "confirmDeliveries",
    tag = "notifications",
    request_body(
        content = DeliveriesHook,
        example = json!({"deliveries": [{
            "messageId": "<01890a5d-ac96-774b-bcce-b302099a8057@slipway.example>",
            "status": "bounced",
            "at": "2026-03-01T10:00:00Z",
            "detail": "550 no such mailbox"
        }]}),
    ),
    responses(
        (status = 200, description = "All of them are accepted", body = ConfirmedDeliveries),
        (status = 401, description = "`UNAUTHENTICATED`: another secret, or none"),
        (status = 404, description = "`NOT_FOUND`: no secret is configured"),
        (
            status = 503,
            description = "`DELIVERIES_TOO_EARLY`: some are of mails that the log does not have \
                as sent yet. The others are recorded; see `results`. Send all of them again. \
                `UNAVAILABLE`: a service is unavailable"
        ),
    ),
    security(("webhook" = [])),
)]
async fn confirm(
    State(app): State<AppState>,
    _: Hook,
    Payload(hook): Payload<DeliveriesHook>,
) -> Result<Json<ConfirmedDeliveries>, Problem> {
    let outbound = Outbound {
        deadline: Some(app.deadline),
        ..Outbound::with_token(app.services.current())
    };
    let request = outbound.request(hook.confirmations());
    let answer = app.notifications().confirm_deliveries(request).await?;
    let answered = hook.answered(answer.get_ref())?;
    if answered.some_are_too_early() {
        return Err(too_early(&answered).into());
    }
    Ok(Json(answered))
}

fn too_early(answered: &ConfirmedDeliveries) -> Fault {
    Fault::new(
        Kind::Unavailable,
        "DELIVERIES_TOO_EARLY",
        "The log does not have some of these mails as sent yet. Send this again.",
    )
    .fact("results", &answered.results)
    .retry_after(AGAIN)
}
