//! `/auth/…` and the public keys.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use slipway_proto::identity::v1::{GetJwksRequest, GetMeRequest};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::Repeatable;
use crate::{
    app::AppState,
    etag::{Tagged, if_match},
    extract::{AnonymousClient, Caller, Payload},
    model::{
        Credentials, EmailConfirmation, OwnAccount, ProfileChange, Registration, Session, required,
    },
    problem::Problem,
};

/// Public keys change rarely, and old ones stay until their tokens have expired.
const JWKS_CACHE: &str = "public, max-age=300";

/// The service's error code if `If-Match` does not match.
const CHANGED: &str = "ACCOUNT_CHANGED";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(me, update_me))
        .routes(routes!(confirm_email))
        .routes(routes!(jwks))
}

/// Creates an account and signs it in.
///
/// Anybody may create a DEVELOPER, unless registration is closed; only an ADMIN may create an
/// ADMIN. A repeated request with the same key signs in to the created account, and is limited like
/// every sign-in.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    tag = "accounts",
    params(Repeatable),
    request_body(
        content = Registration,
        example = json!({
            "username": "ada",
            "email": "ada@example.com",
            "password": "engine no. 1"
        }),
    ),
    responses(
        (status = 201, description = "Created and signed in", body = Session),
        (status = 403, description = "`ADMIN_REQUIRED`, `REGISTRATION_CLOSED`"),
        (status = 409, description = "`USERNAME_TAKEN`, `EMAIL_TAKEN`, `IDEMPOTENCY_KEY_REUSED`"),
        (
            status = 429,
            description = "`TOO_MANY_REGISTRATIONS`: from one address within an hour, other than \
                by an admin; `TOO_MANY_ATTEMPTS`: as when signing in; `TOO_BUSY`",
        ),
    ),
    security((), ("bearer" = []), ("cookie" = [])),
)]
async fn register(
    State(app): State<AppState>,
    visitor: AnonymousClient,
    Payload(registration): Payload<Registration>,
) -> Result<(StatusCode, Json<Session>), Problem> {
    let request = visitor.outbound.request(registration.into());
    let answer = app.identity().register(request).await?.into_inner();
    let session = required("session", answer.session)?.try_into()?;
    Ok((StatusCode::CREATED, Json(session)))
}

/// Signs in, with a username or an email address.
///
/// The answer has an access token of minutes, and a refresh token for the next ones. Browsers sign
/// in with `POST /auth/session`.
#[utoipa::path(
    post,
    path = "/auth/login",
    operation_id = "login",
    tag = "accounts",
    request_body(
        content = Credentials,
        example = json!({"username": "ada", "password": "engine no. 1"}),
    ),
    responses(
        (status = 200, description = "Signed in", body = Session),
        (
            status = 401,
            description = "`INVALID_CREDENTIALS`: alike for an unknown name and a wrong password",
        ),
        (
            status = 429,
            description = "`TOO_MANY_ATTEMPTS`: 10 failures in 15 minutes for a name, or 100 for an \
                address, from which then only right passwords of accounts without failures are \
                accepted; `TOO_BUSY`",
        ),
    ),
    security(()),
)]
async fn login(
    State(app): State<AppState>,
    visitor: AnonymousClient,
    Payload(credentials): Payload<Credentials>,
) -> Result<Json<Session>, Problem> {
    let request = visitor.outbound.request(credentials.try_into()?);
    let answer = app.identity().login(request).await?.into_inner();
    Ok(Json(required("session", answer.session)?.try_into()?))
}

/// The caller's own account.
#[utoipa::path(
    get,
    path = "/auth/me",
    operation_id = "getMe",
    tag = "accounts",
    responses(
        (
            status = 200,
            description = "The account",
            body = OwnAccount,
            headers(("ETag" = String, description = "Its revision, for `If-Match`")),
        ),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn me(State(app): State<AppState>, caller: Caller) -> Result<Tagged<OwnAccount>, Problem> {
    let request = caller.outbound.request(GetMeRequest {});
    let answer = app.identity().get_me(request).await?.into_inner();
    Ok(Tagged {
        revision: answer.revision,
        body: answer.try_into()?,
    })
}

/// Changes the caller's own account.
///
/// Another email address needs the password, and counts once the link in a mail to it is used, which
/// works once, for 24 hours: until then it is `pendingEmail`. Then the former address is told. The
/// time zone is changed with `PUT /preferences`.
#[utoipa::path(
    patch,
    path = "/auth/me",
    operation_id = "updateMe",
    tag = "accounts",
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of what is changed")),
    request_body(content = ProfileChange, example = json!({"displayName": "Ada Lovelace"})),
    responses(
        (
            status = 200,
            description = "The account after the change",
            body = OwnAccount,
            headers(("ETag" = String, description = "Its revision, for `If-Match`")),
        ),
        (
            status = 403,
            description = "`WRONG_PASSWORD`: the password is wrong, which counts as a failed \
                sign-in; `PASSWORDS_OFF`",
        ),
        (
            status = 409,
            description = "`EMAIL_FROM_PROVIDER`: the identity provider gives the address; \
                `NO_PASSWORD`: the account signs in without one; `EMAIL_TAKEN`; `ACCOUNT_CHANGED`: by \
                another request",
        ),
        (status = 412, description = "`ACCOUNT_CHANGED`: changed meanwhile"),
        (
            status = 429,
            description = "`TOO_MANY_LINKS`: over 5 new addresses within an hour; \
                `TOO_MANY_ATTEMPTS`, `TOO_BUSY`: as when signing in",
        ),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn update_me(
    State(app): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    Payload(change): Payload<ProfileChange>,
) -> Result<Tagged<OwnAccount>, Problem> {
    let condition = if_match(&headers, 1)?;
    let answer = condition.guard(CHANGED, |revision| {
        let request = caller.outbound.request(change.at(revision));
        let mut service = app.identity();
        async move { service.update_me(request).await }
    });
    let answer = answer.await?.into_inner();
    Ok(Tagged {
        revision: answer.revision,
        body: answer.try_into()?,
    })
}

/// Confirms a new email address by the link of a mail. The former address is told.
#[utoipa::path(
    post,
    path = "/auth/email/confirm",
    operation_id = "confirmEmail",
    tag = "accounts",
    request_body(content = EmailConfirmation, example = json!({"token": "sll_019343a1b2c3…"})),
    responses(
        (status = 204, description = "The account has the address from now on"),
        (
            status = 403,
            description = "`INVALID_LINK`: unknown, used before, or replaced by a newer one; \
                `LINK_EXPIRED`",
        ),
        (status = 409, description = "`EMAIL_TAKEN`: by another account meanwhile"),
        (
            status = 429,
            description = "`TOO_MANY_ATTEMPTS`: over 100 invalid tokens from one address in 15 \
                minutes; a valid one is accepted nevertheless",
        ),
    ),
    security(()),
)]
async fn confirm_email(
    State(app): State<AppState>,
    visitor: AnonymousClient,
    Payload(confirmation): Payload<EmailConfirmation>,
) -> Result<StatusCode, Problem> {
    let request = visitor.outbound.request(confirmation.into());
    app.identity().confirm_email(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The public keys that tokens verify against: a JWK Set (RFC 7517).
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "getJwks",
    tag = "accounts",
    responses((status = 200, description = "The keys", body = Object)),
    security(()),
)]
async fn jwks(State(app): State<AppState>, visitor: AnonymousClient) -> Result<Response, Problem> {
    let request = visitor.outbound.request(GetJwksRequest {});
    let answer = app.identity().get_jwks(request).await?.into_inner();
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, JWKS_CACHE),
    ];
    Ok((headers, answer.jwks_json).into_response())
}
