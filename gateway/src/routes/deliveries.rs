//! `/hooks/deliveries`: what the operator of a mail server says of mails that were sent.

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

/// When to send again what was too early: by then a mail that was taken is in the log.
const AGAIN: Duration = Duration::from_secs(10);

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(confirm))
}

/// Accepts what became of mails: they arrived, or came back.
///
/// Known by the configured secret of webhooks as `Authorization: Bearer`; without a
/// configured secret this address does not exist. A repetition changes nothing and is
/// answered alike, so what is not sure to have arrived may be sent again. What is said of
/// unknown mails, and what cannot be read, is reported and hinders nothing.
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
        (status = 200, description = "All of them are taken up", body = ConfirmedDeliveries),
        (status = 401, description = "`UNAUTHENTICATED`: another secret, or none"),
        (status = 404, description = "`NOT_FOUND`: no secret is configured"),
        (
            status = 503,
            description = "`DELIVERIES_TOO_EARLY`: some are of mails of which the log does not \
                say yet that they were sent. The others are taken up; `results` says which. \
                Send all of them again. `UNAVAILABLE`: a service is away"
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
        "The log does not say yet that some of these mails were sent. Send this again.",
    )
    .fact("results", &answered.results)
    .retry_after(AGAIN)
}
