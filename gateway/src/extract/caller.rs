//! Extractors that authenticate the caller and prepare the metadata of calls to services.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{
    HeaderMap, Method,
    header::{AUTHORIZATION, USER_AGENT},
    request::Parts,
};
use slipway_rpc::{
    access::{Principal, bearer, programs::is_of_program},
    error::{Fault, Kind},
    grpc::{ForwardedClient, Outbound},
    metadata::IDEMPOTENCY_KEY,
};
use slipway_runtime::telemetry::access::Requester;
use tracing::{Span, field::display};
use web::Visitor;

use crate::{
    app::{App, AppState},
    body::Sender,
    middleware::RequestId,
    operation,
    problem::Problem,
};

pub(crate) const MAX_IDEMPOTENCY_KEY: usize = 255;

/// A client that has signed in.
pub(crate) struct Caller {
    /// The user of its token.
    pub(crate) principal: Arc<Principal>,
    /// Metadata for calls on its behalf.
    pub(crate) outbound: Outbound,
}

/// A client that need not have signed in.
pub(crate) struct AnonymousClient {
    /// Metadata for calls on its behalf; with a token only if the client sent one.
    pub(crate) outbound: Outbound,
}

/// Refuses a request that a page of another site caused.
pub(crate) struct NotForeign;

/// The cookies of a browser, on a request that may use them.
pub(crate) struct BrowserCookie {
    /// Tokens of their sessions that have not ended. Usually there is one cookie.
    pub(crate) tokens: Vec<String>,
}

/// The cookies that a browser has when it signs in. A request that may not use them has none.
pub(crate) struct EarlierCookie {
    /// Tokens of their sessions that have not ended.
    pub(crate) tokens: Vec<String>,
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let (token, principal) = authenticate(parts, app).await?;
        parts.extensions.insert(Sender::Client);
        note(parts, &principal);
        operation::check(parts, app.deadline).await?;
        Ok(Self {
            principal,
            outbound: outbound(parts, app, Some(token))?,
        })
    }
}

impl FromRequestParts<AppState> for AnonymousClient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let token = if parts.headers.contains_key(AUTHORIZATION) {
            bearer(&parts.headers).map(str::to_owned)
        } else if parts.method == Method::POST && app.browser.check_origin(parts).is_ok() {
            tokens_of_cookies(parts, app).await?.into_iter().next()
        } else {
            // Reads that are public are the same for everybody.
            None
        };
        parts.extensions.insert(Sender::Client);
        operation::check(parts, app.deadline).await?;
        Ok(Self {
            outbound: outbound(parts, app, token)?,
        })
    }
}

impl FromRequestParts<AppState> for NotForeign {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        app.browser.check_not_foreign(parts)?;
        Ok(Self)
    }
}

impl FromRequestParts<AppState> for BrowserCookie {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        if !app.browser.secrets(&parts.headers).is_empty() {
            app.browser.check_origin(parts)?;
        }
        let tokens = tokens_of_cookies(parts, app).await?;
        Ok(Self { tokens })
    }
}

impl FromRequestParts<AppState> for EarlierCookie {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let tokens = match app.browser.check_origin(parts) {
            Ok(()) => tokens_of_cookies(parts, app).await?,
            Err(_) => Vec::new(),
        };
        Ok(Self { tokens })
    }
}

/// Who asks for a page or sends a form of one. Whoever has no valid session is not signed in.
///
/// # Errors
/// If another site caused the form, or it cannot be determined at the moment whether the session is
/// valid.
pub(crate) async fn visitor(parts: &Parts, app: &App) -> Result<Visitor, Fault> {
    let (token, user) = match authenticate(parts, app).await {
        Ok((token, principal)) => (Some(token), Some(principal)),
        Err(fault) if is_refusal(&fault) => (None, None),
        Err(fault) => return Err(fault),
    };
    if let Some(principal) = &user {
        note(parts, principal);
    }
    let outbound = outbound(parts, app, token)?;
    Ok(Visitor { user, outbound })
}

/// Notes whose request it is, for the traces and the access log.
fn note(parts: &Parts, principal: &Principal) {
    Span::current().record("user_id", display(principal.user_id));
    if let Some(requester) = parts.extensions.get::<Requester>() {
        requester.is_user(principal.user_id);
    }
}

/// The token of a request, and its user. The header takes precedence over the cookie, even if it is
/// malformed.
async fn authenticate(parts: &Parts, app: &App) -> Result<(String, Arc<Principal>), Fault> {
    if parts.headers.contains_key(AUTHORIZATION) {
        let token = bearer(&parts.headers).ok_or_else(not_signed_in)?;
        if is_of_program(token) {
            let (token, principal) = of_program(parts, app, token).await?;
            return Ok((token.as_ref().to_owned(), principal));
        }
        return Ok((token.to_owned(), app.verifier.verify(token).await?));
    }
    let mut refused = not_signed_in();
    let secrets = app.browser.secrets(&parts.headers);
    if !secrets.is_empty() {
        app.browser.check_origin(parts)?;
    }
    for secret in secrets {
        match of_session(parts, app, &secret).await {
            Err(fault) if is_refusal(&fault) => refused = fault,
            authenticated => return authenticated,
        }
    }
    Err(refused)
}

/// The access token for a token for programs, and its principal.
pub(super) async fn of_program(
    parts: &Parts,
    app: &App,
    secret: &str,
) -> Result<(Arc<str>, Arc<Principal>), Fault> {
    let agent = parts.headers.get(USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    let (verifier, address) = (&app.verifier, address(parts));
    app.programs
        .verified(verifier, secret, address, agent)
        .await
}

/// A token of the session with this secret, and its user.
async fn of_session(
    parts: &Parts,
    app: &App,
    secret: &str,
) -> Result<(String, Arc<Principal>), Fault> {
    let token = exchange(parts, app, secret).await?;
    let principal = app.verifier.verify(&token).await;
    // The session may have ended, or the keys may have changed.
    let principal = principal.inspect_err(|_| app.browser.forget(secret))?;
    Ok((token.as_ref().to_owned(), principal))
}

/// Tokens of the sessions of the cookies that have not ended.
///
/// # Errors
/// If that cannot be determined at the moment.
async fn tokens_of_cookies(parts: &Parts, app: &App) -> Result<Vec<String>, Fault> {
    let mut tokens = Vec::new();
    for secret in app.browser.secrets(&parts.headers) {
        match exchange(parts, app, &secret).await {
            Ok(token) => tokens.push(token.as_ref().to_owned()),
            Err(fault) if is_refusal(&fault) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(tokens)
}

/// Whether a secret is not accepted. Otherwise it is unknown at the moment whether it is.
fn is_refusal(fault: &Fault) -> bool {
    matches!(fault.kind, Kind::Unauthenticated | Kind::RateLimited)
}

async fn exchange(parts: &Parts, app: &App, secret: &str) -> Result<Arc<str>, Fault> {
    let outbound = Outbound {
        idempotency_key: None,
        ..outbound(parts, app, None)?
    };
    let now = app.clock.now();
    let token = app.browser.token(app.identity(), secret, &outbound, now);
    token.await
}

fn not_signed_in() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "UNAUTHENTICATED",
        "Sign in first: send the token as 'Authorization: Bearer'.",
    )
}

fn address(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

fn outbound(parts: &Parts, app: &App, token: Option<String>) -> Result<Outbound, Fault> {
    let request_id = parts.extensions.get::<RequestId>();
    let agent = parts.headers.get(USER_AGENT);
    Ok(Outbound {
        token,
        deadline: Some(app.deadline),
        idempotency_key: idempotency_key(&parts.method, &parts.headers)?,
        request_id: request_id.map(|id| id.as_str().to_owned()),
        client: address(parts).map(|address| ForwardedClient {
            address,
            agent: agent
                .and_then(|agent| agent.to_str().ok())
                .map(str::to_owned),
            service_token: app.services.current(),
        }),
    })
}

/// The key with which a client can repeat a POST safely.
fn idempotency_key(method: &Method, headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next().filter(|_| method == Method::POST) else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Fault::invalid_field(
            "Idempotency-Key",
            "must be given once",
        ));
    }
    let bytes = value.as_bytes();
    let visible = bytes.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if visible && (1..=MAX_IDEMPOTENCY_KEY).contains(&bytes.len()) => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(Fault::invalid_field(
            "Idempotency-Key",
            format!("must be 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters"),
        )),
    }
}
