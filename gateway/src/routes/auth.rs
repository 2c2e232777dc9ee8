//! `/auth/…` and the public keys.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE},
};
use slipway_proto::identity::v1::{GetJwksRequest, GetMeRequest};
use slipway_rpc::error::Fault;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::Repeatable;
use crate::{
    app::{App, AppState},
    extract::{AnonymousClient, COOKIE, Caller, Payload},
    model::{Account, Credentials, Registration, Session, required},
    problem::Problem,
};

/// Public keys change rarely, and old ones stay until their tokens have expired.
const JWKS_CACHE: &str = "public, max-age=300";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(me))
        .routes(routes!(jwks))
}

/// Creates an account and signs it in.
///
/// Anybody may create a DEVELOPER, unless registration is closed; only an ADMIN may create an
/// ADMIN. Sets the cookie too, unless the request has a token: who is signed in creates the account
/// of somebody else and stays signed in. A repeated request with the same key signs in to the
/// created account, and is limited like every sign-in.
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
    security((), ("bearer" = [])),
)]
async fn register(
    State(app): State<AppState>,
    visitor: AnonymousClient,
    headers: HeaderMap,
    Payload(registration): Payload<Registration>,
) -> Result<Response, Problem> {
    let request = visitor.outbound.request(registration.into());
    let answer = app.identity().register(request).await?.into_inner();
    let session: Session = required("session", answer.session)?.try_into()?;
    if visitor.outbound.token.is_some() {
        // The cookie would sign the browser of an admin in as the new user.
        return Ok((StatusCode::CREATED, Json(session)).into_response());
    }
    Ok(signed_in(StatusCode::CREATED, &app, &headers, session))
}

/// Signs in, with a username or an email address.
///
/// Sets the cookie too.
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
    headers: HeaderMap,
    Payload(credentials): Payload<Credentials>,
) -> Result<Response, Problem> {
    let request = visitor.outbound.request(credentials.try_into()?);
    let answer = app.identity().login(request).await?.into_inner();
    let session = required("session", answer.session)?.try_into()?;
    Ok(signed_in(StatusCode::OK, &app, &headers, session))
}

/// The caller's own account.
#[utoipa::path(
    get,
    path = "/auth/me",
    operation_id = "getMe",
    tag = "accounts",
    responses((status = 200, description = "The account", body = Account)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn me(State(app): State<AppState>, caller: Caller) -> Result<Json<Account>, Problem> {
    let request = caller.outbound.request(GetMeRequest {});
    let answer = app.identity().get_me(request).await?.into_inner();
    Ok(Json(required("user", answer.user)?.try_into()?))
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

/// A session, as JSON and as the cookie for browsers.
fn signed_in(status: StatusCode, app: &App, headers: &HeaderMap, session: Session) -> Response {
    let cookie = match cookie(app, headers, &session) {
        Ok(cookie) => cookie,
        Err(fault) => return Problem::from(fault).into_response(),
    };
    (status, [(SET_COOKIE, cookie)], Json(session)).into_response()
}

fn cookie(app: &App, headers: &HeaderMap, session: &Session) -> Result<HeaderValue, Fault> {
    let left = session.expires_at.duration_since(app.clock.now());
    let max_age = left.as_secs().max(0);
    // Any client can send this header. A false value only makes the client's own cookie `Secure`.
    let forwarded = headers
        .get("x-forwarded-proto")
        .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    let secure = if app.https || forwarded {
        "; Secure"
    } else {
        ""
    };
    let token = &session.token;
    HeaderValue::try_from(format!(
        "{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age}{secure}"
    ))
    .map_err(|_| Fault::internal("the token fits into no header"))
}
