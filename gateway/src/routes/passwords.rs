//! `/auth/password/…`: passwords that are set by the link of a mail.

use axum::{extract::State, http::StatusCode};
use slipway_proto::identity::v1::RequestPasswordResetRequest;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    extract::{AnonymousClient, Payload},
    model::{ForgottenPassword, PasswordReset},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(forgot))
        .routes(routes!(reset))
}

/// Mails a link that sets another password.
///
/// The answer is the same, and takes the same time, whether there is such an account or not. The link
/// works once, for 30 minutes, and only the newest one. An account gets at most 5 such mails in an
/// hour; a disabled one, and one that signs in without a password, gets none.
#[utoipa::path(
    post,
    path = "/auth/password/forgot",
    operation_id = "forgotPassword",
    tag = "accounts",
    request_body(content = ForgottenPassword, example = json!({"email": "ada@example.com"})),
    responses(
        (status = 202, description = "If there is such an account, it gets a mail"),
        (
            status = 429,
            description = "`TOO_MANY_LINKS`: over 20 requests from one address within an hour",
        ),
    ),
    security(()),
)]
async fn forgot(
    State(app): State<AppState>,
    visitor: AnonymousClient,
    Payload(forgotten): Payload<ForgottenPassword>,
) -> Result<StatusCode, Problem> {
    let message: RequestPasswordResetRequest = forgotten.try_into()?;
    let request = visitor.outbound.request(message);
    app.identity().request_password_reset(request).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Sets the password by the link of a mail: of a reset or of an invitation.
///
/// All sessions of the account end: within two seconds none of their tokens is accepted. Its tokens
/// for programs stay, unless `revokeTokens` is `true`. The link does not work again.
#[utoipa::path(
    post,
    path = "/auth/password/reset",
    operation_id = "resetPassword",
    tag = "accounts",
    request_body(
        content = PasswordReset,
        example = json!({"token": "sll_019343a1b2c3…", "newPassword": "engine no. 2, larger"}),
    ),
    responses(
        (status = 204, description = "Set"),
        (
            status = 403,
            description = "`INVALID_LINK`: unknown, used before, or replaced by a newer one; \
                `LINK_EXPIRED`",
        ),
        (
            status = 429,
            description = "`TOO_MANY_ATTEMPTS`: over 100 invalid tokens from one address in 15 \
                minutes; a valid one is accepted nevertheless; `TOO_BUSY`",
        ),
    ),
    security(()),
)]
async fn reset(
    State(app): State<AppState>,
    visitor: AnonymousClient,
    Payload(reset): Payload<PasswordReset>,
) -> Result<StatusCode, Problem> {
    let request = visitor.outbound.request(reset.into());
    app.identity().reset_password(request).await?;
    Ok(StatusCode::NO_CONTENT)
}
