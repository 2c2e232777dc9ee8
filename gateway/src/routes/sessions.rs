//! `/auth/refresh`, `/auth/logout`, `/auth/session…`: sessions; `/auth/password`, which ends them.

use std::time::Duration;

use axum::{Json, extract::State, response::IntoResponse};
use http::{StatusCode, header::SET_COOKIE};
use slipway_proto::identity::v1::{EndAllSessionsRequest, EndSessionRequest, LogoutRequest};
use slipway_rpc::{
    error::{Fault, Kind},
    grpc::Outbound,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    extract::{
        AnonymousClient, BrowserCookie, Caller, EarlierCookie, ListParams, NotForeign, PathId,
        Payload,
    },
    model::{
        BrowserSession, Credentials, Id, Page, Paging, PasswordChange, Refresh, Session,
        SessionsOfMine, StartedSession, required,
    },
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(change_password))
        .routes(routes!(list, end_all))
        .routes(routes!(end))
        .routes(routes!(start_browser, end_browser))
}

/// Exchanges a refresh token for a new access token and the next refresh token.
///
/// A refresh token works once. An older one ends the session: somebody else may have it.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    operation_id = "refreshSession",
    tag = "accounts",
    request_body(
        content = Refresh,
        example = json!({"refreshToken": "slr_019343a1b2c3…"}),
    ),
    responses(
        (status = 200, description = "The next pair of tokens", body = Session),
        (
            status = 401,
            description = "`INVALID_REFRESH_TOKEN`: alike for an unknown session and a wrong \
                secret; `REFRESH_REUSED`: the session has ended now; `SESSION_ENDED`; \
                `SESSION_EXPIRED`",
        ),
        (
            status = 409,
            description = "`REFRESH_SUPERSEDED`: another request has used the token within the \
                last 10 seconds; the tokens of its answer count",
        ),
        (
            status = 429,
            description = "`TOO_MANY_ATTEMPTS`: over 100 invalid tokens from one address in 15 \
                minutes; a valid one is accepted nevertheless",
        ),
    ),
    security(()),
)]
async fn refresh(
    State(app): State<AppState>,
    visitor: AnonymousClient,
    Payload(refresh): Payload<Refresh>,
) -> Result<Json<Session>, Problem> {
    let request = visitor.outbound.request(refresh.into());
    let answer = app.identity().refresh_session(request).await?.into_inner();
    Ok(Json(required("session", answer.session)?.try_into()?))
}

/// Signs out: ends the session of the token.
///
/// Within two seconds no token of the session is accepted, and its streams end.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    tag = "accounts",
    responses(
        (status = 204, description = "Signed out"),
        (status = 409, description = "`NO_SESSION`: the token was issued by an older version"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn logout(State(app): State<AppState>, caller: Caller) -> Result<StatusCode, Problem> {
    let request = caller.outbound.request(LogoutRequest {});
    app.identity().logout(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes the caller's password.
///
/// All other sessions of the caller end: within two seconds none of their tokens is accepted.
#[utoipa::path(
    post,
    path = "/auth/password",
    operation_id = "changePassword",
    tag = "accounts",
    request_body(
        content = PasswordChange,
        example = json!({"currentPassword": "engine no. 1", "newPassword": "engine no. 2, larger"}),
    ),
    responses(
        (status = 204, description = "Changed"),
        (
            status = 403,
            description = "`WRONG_PASSWORD`: the current password is wrong, which counts as a \
                failed sign-in",
        ),
        (status = 429, description = "`TOO_MANY_ATTEMPTS`, `TOO_BUSY`: as when signing in"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn change_password(
    State(app): State<AppState>,
    caller: Caller,
    Payload(change): Payload<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let request = caller.outbound.request(change.into());
    app.identity().change_password(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's sessions, newest first.
///
/// An account has at most 100; then the one ends that was not used for the longest time.
#[utoipa::path(
    get,
    path = "/auth/sessions",
    operation_id = "listSessions",
    tag = "accounts",
    params(Paging),
    responses((status = 200, description = "A page of sessions", body = Page<StartedSession>)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<SessionsOfMine>,
) -> Result<Json<Page<StartedSession>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.identity().list_sessions(request).await?.into_inner();
    Ok(Json(Page::new(answer.sessions, answer.next_page_token)?))
}

/// Signs out everywhere: ends all sessions of the caller, including the one of this request.
#[utoipa::path(
    delete,
    path = "/auth/sessions",
    operation_id = "endAllSessions",
    tag = "accounts",
    responses((status = 204, description = "All have ended")),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn end_all(State(app): State<AppState>, caller: Caller) -> Result<StatusCode, Problem> {
    let request = caller.outbound.request(EndAllSessionsRequest {});
    app.identity().end_all_sessions(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a session of the caller.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{id}",
    operation_id = "endSession",
    tag = "accounts",
    params(("id" = Id, Path, description = "Id of the session")),
    responses(
        (status = 204, description = "Ended"),
        (status = 404, description = "`SESSION_NOT_FOUND`: unknown, not yours, or ended before"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn end(
    State(app): State<AppState>,
    caller: Caller,
    PathId(session): PathId,
) -> Result<StatusCode, Problem> {
    let request = caller.outbound.request(EndSessionRequest {
        session_id: session.to_string(),
    });
    app.identity().end_session(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs a browser in, with a username or an email address.
///
/// Sets the cookie, which scripts cannot read, and returns no token. It always starts a new session;
/// one of a cookie that the browser had ends.
#[utoipa::path(
    post,
    path = "/auth/session",
    operation_id = "startBrowserSession",
    tag = "accounts",
    request_body(
        content = Credentials,
        example = json!({"username": "ada", "password": "engine no. 1"}),
    ),
    responses(
        (status = 200, description = "Signed in", body = BrowserSession),
        (status = 401, description = "`INVALID_CREDENTIALS`: as when signing in for tokens"),
        (status = 403, description = "`CROSS_ORIGIN`: another site caused the request"),
        (status = 429, description = "`TOO_MANY_ATTEMPTS`, `TOO_BUSY`: as there"),
    ),
    security(()),
)]
async fn start_browser(
    State(app): State<AppState>,
    visitor: AnonymousClient,
    _: NotForeign,
    earlier: EarlierCookie,
    Payload(credentials): Payload<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let request = visitor.outbound.request(credentials.for_browser()?);
    let answer = app.identity().start_browser_session(request).await?;
    if let Err(fault) = end_sessions(&app, &visitor, earlier.tokens).await {
        // The new session counts nevertheless.
        tracing::warn!(code = %fault.code, "the earlier session of a browser has not ended");
    }
    let (secret, session) = BrowserSession::of(answer.into_inner())?;
    let left = session.expires_at.duration_since(app.clock.now());
    let left = Duration::try_from(left).unwrap_or_default();
    let cookie = app.browser.set(&secret, left)?;
    Ok(([(SET_COOKIE, cookie)], Json(session)))
}

/// Signs a browser out: ends the session of the cookie, and deletes the cookie.
///
/// Also if the session has ended already, or there is no cookie.
#[utoipa::path(
    delete,
    path = "/auth/session",
    operation_id = "endBrowserSession",
    tag = "accounts",
    responses(
        (status = 204, description = "Signed out"),
        (status = 403, description = "`CROSS_ORIGIN`: another site caused the request"),
    ),
    security((), ("cookie" = [])),
)]
async fn end_browser(
    State(app): State<AppState>,
    visitor: AnonymousClient,
    _: NotForeign,
    cookie: BrowserCookie,
) -> Result<impl IntoResponse, Problem> {
    end_sessions(&app, &visitor, cookie.tokens).await?;
    let gone = app.browser.set("", Duration::ZERO)?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, gone)]))
}

/// Ends the sessions of these tokens.
async fn end_sessions(
    app: &AppState,
    visitor: &AnonymousClient,
    tokens: Vec<String>,
) -> Result<(), Fault> {
    for token in tokens {
        let outbound = Outbound {
            token: Some(token),
            ..visitor.outbound.clone()
        };
        let request = outbound.request(LogoutRequest {});
        match app.identity().logout(request).await.map_err(Fault::from) {
            // It has ended meanwhile.
            Err(fault) if fault.kind != Kind::Unauthenticated => return Err(fault),
            _ => {}
        }
    }
    Ok(())
}
